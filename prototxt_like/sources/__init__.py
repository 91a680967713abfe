"""Data layers as sources of batches. Only the programs of Caffe's command line open them, never a ``Net``."""
