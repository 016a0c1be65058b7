//! BERT against Python's transformers: values, folders, students.

mod folders;
mod parity;
mod refusals;
mod students;
mod support;
mod transformers_reads_it;
