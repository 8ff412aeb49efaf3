//! Runs the program as its users do and reads what it writes.

mod support;
mod demo;
mod build;
mod refused;
mod query;
mod places;
mod profile;
mod readme;
mod foreign;
mod verify;
mod salvage;
mod codes;
mod output;
