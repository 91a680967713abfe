"""Reports: a run or a data set as one self-contained HTML page with charts."""
