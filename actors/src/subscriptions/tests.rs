//! Subscriptions at a desk with a log of its own.
