"""Model files, classifiers, test-time augmentation, ensembles and run folders."""
