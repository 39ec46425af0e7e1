//! Real programs the desk is tried against, started by a test and gone when it ends.
