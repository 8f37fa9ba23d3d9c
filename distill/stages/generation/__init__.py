"""The stages of the task 'generation' that differ from those of a classification: labels, students, predictions, timings."""
