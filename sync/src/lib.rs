//! Channels, `select!`, `WaitGroup`.
