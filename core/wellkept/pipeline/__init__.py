"""The six steps, in the order in which data flow: sync, resolve, measure, score, decide, deliver."""
