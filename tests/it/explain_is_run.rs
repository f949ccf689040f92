//! `fcgate explain` says what `fcgate run` does, in every field: each family below is a configuration and a product of
//! hosts, methods, targets and fields, of which both sides are asked the same. The answer of the gateway, what the
//! application received and the line of the access log are compared with the explanation.

mod applications;
mod codings;
mod comparison;
mod files;
mod pages;
mod proxies;
mod question;
mod refusals;
mod rules;
mod secured;
mod stand;
