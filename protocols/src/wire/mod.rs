//! Requests and answers of the nodes and exchanges, as plain values.

<<<<<<< HEAD
pub mod bitcoind;
=======
pub mod skycoin;
>>>>>>> skycoin
