//! Integration tests.

mod slice_on_real_sockets;
