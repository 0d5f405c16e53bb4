//! [`DoneArm`]: the end of a context as an arm of a `select!`.
//!
//! A future of its own could only wake the select, which then looks which of its arms is ready;
//! until it has looked, a peer may still complete another one. So whoever had cancelled could
//! afterwards hand a value to a task that was waiting for just that cancelling. In Go that cannot
//! happen: there a context's end is a channel that closes, and closing decides the select. So it is
//! here: what stands in the select is a receive from the context's signal, a channel without
//! values, which is made when a select first asks for it.
//!
//! Who sees `err` must find `done` ready, also while the [wave](super::wave) that closes the
//! signals is still on its way. Therefore an arm shuts the signal of a context that has ended
//! before the select looks at it. The wave tells those that wait already.
#![forbid(unsafe_code)]

use std::fmt;
use std::pin::Pin;

use pin_project_lite::pin_project;

use super::done::Done;
use super::error::ContextError;
use super::node::Node;
use crate::channel::{Channel, Receiving};
use crate::select::arm::{ChannelCase, ChannelOperation, IntoOperation};

pin_project! {
    /// See the module.
    pub struct DoneArm<'a> {
        node: &'a Node,
        #[pin]
        receiving: Receiving<&'a Channel<()>, ()>,
    }
}

impl<'a> IntoOperation for Done<'a> {
    type Operation = DoneArm<'a>;

    /// None for a context that never ends: Go's nil channel.
    fn into_operation(self) -> Option<DoneArm<'a>> {
        let node = self.into_node()?;
        let receiving = Receiving::new(node.signal());
        Some(DoneArm { node, receiving })
    }
}

impl ChannelOperation for DoneArm<'_> {
    type Output = ContextError;

    fn case(self: Pin<&Self>) -> ChannelCase<'_> {
        let this = self.project_ref();
        if this.node.ask().is_some() {
            this.receiving.channel().shut();
        }
        this.receiving.as_case()
    }

    fn outcome(self: Pin<&mut Self>) -> ContextError {
        let this = self.into_ref().project_ref();
        let nothing = this.receiving.outcome();
        debug_assert!(nothing.is_none(), "no value is ever sent");
        this.node
            .err()
            .expect("the signal closes after the context has ended")
    }
}

impl fmt::Debug for DoneArm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DoneArm").field(&self.node.err()).finish()
    }
}
