"""Any number of models on any number of machines: what is to be audited, where results are kept, and the run that loses none."""
