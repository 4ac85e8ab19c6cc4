//! The facade for Azure's clients: `az backup` and the Azure SDKs find here what they expect of Azure Resource Manager.
//!
//! It is a second presentation of the same use-cases as the native interface: it parses, asks for permission, calls and
//! renders, and keeps nothing of its own but what only those clients want to read again. [`operations`] is the table of
//! what there is. Shapes are those of api-version 2024-04-01; any version is spoken, as the clients of all years can read
//! them.

mod access;
mod call;
mod certificates;
mod compatibility;
mod configs;
mod containers;
mod deleted_vaults;
mod dispatch;
mod empty;
mod endpoints;
mod enter;
mod error;
mod extended;
mod filter;
mod groups;
mod guards;
mod items;
mod jobs;
mod loose;
mod machines;
mod names;
mod operations;
mod page;
mod path;
mod points;
mod policies;
mod policy;
mod provider;
mod record;
mod reply;
mod security;
mod security_pins;
mod storage;
mod subscriptions;
mod times;
mod token;
mod tracked;
mod usages;
mod vault;
mod vaults;

pub use compatibility::{AzureOperation, AzureSupport, azure_operations};
pub(crate) use enter::enter;
