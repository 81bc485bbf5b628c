//! Bodies that are made step by step, each step when it is wanted, outside the threads that serve: nothing waits in a thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio_stream::Stream;

/// What is made step by step.
pub(crate) trait Steps: Send + 'static {
    /// The next bytes; nothing at the end.
    fn step(&mut self) -> io::Result<Option<Bytes>>;
}

/// The stream of what is made.
pub(crate) struct Later<S>(State<S>);

enum State<S> {
    Waiting(S),
    Working(JoinHandle<(S, io::Result<Option<Bytes>>)>),
    Ended,
}

impl<S> Later<S> {
    pub(crate) fn new(steps: S) -> Later<S> {
        Later(State::Waiting(steps))
    }
}

// Nothing in it is pinned: a step is moved to the thread that makes it and back.
impl<S> Unpin for Later<S> {}

impl<S: Steps> Stream for Later<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.0, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Waiting(mut steps) => {
                    self.0 = State::Working(tokio::task::spawn_blocking(move || {
                        let made = steps.step();
                        (steps, made)
                    }));
                }
                State::Working(mut working) => {
                    let made = match Pin::new(&mut working).poll(context) {
                        Poll::Pending => {
                            self.0 = State::Working(working);
                            return Poll::Pending;
                        }
                        made => ready!(made),
                    };
                    match made {
                        Ok((steps, Ok(Some(bytes)))) => {
                            self.0 = State::Waiting(steps);
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        Ok((_, Ok(None))) => return Poll::Ready(None),
                        // The connection ends without its last chunk: nobody takes the part for the whole.
                        Ok((_, Err(error))) => {
                            tracing::warn!(%error, "an answer could not be finished");
                            return Poll::Ready(Some(Err(error)));
                        }
                        Err(error) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                    }
                }
            }
        }
    }
}
