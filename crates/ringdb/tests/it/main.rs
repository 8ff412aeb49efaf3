//! The facade as its users see it.

mod bad_input;
mod box_bytes;
mod boxes;
mod code_bytes;
mod codes;
mod contents;
mod directories;
mod face;
mod fixtures;
mod geo;
mod many;
mod memory;
mod mended;
mod options;
mod orders;
mod pages;
mod prefix;
mod prefix_bytes;
mod python;
mod queries;
mod rebuilt;
mod samples;
mod support;
mod verbs;
