//! Bodies that are made step by step, each step when it is wanted, outside the threads that serve: nothing waits in a thread.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio_stream::Stream;

/// What is made step by step.
pub(crate) trait Steps: Send + 'static {
    /// The next bytes; nothing at the end.
    fn step(&mut self) -> io::Result<Option<Bytes>>;
}

/// The stream of what is made.
pub(crate) struct Later<S> {
    state: State<S>,
    /// Turns of steps: so many are made at a time, of all streams.
    turns: Arc<Semaphore>,
}

type Turn = Pin<Box<dyn Future<Output = Result<OwnedSemaphorePermit, AcquireError>> + Send>>;

enum State<S> {
    Waiting(S),
    Queued(S, Turn),
    Working(JoinHandle<(S, io::Result<Option<Bytes>>)>),
    Ended,
}

impl<S> Later<S> {
    pub(crate) fn new(steps: S, turns: Arc<Semaphore>) -> Later<S> {
        Later {
            state: State::Waiting(steps),
            turns,
        }
    }
}

// Nothing in it is pinned: a step is moved to the thread that makes it and back.
impl<S> Unpin for Later<S> {}

impl<S: Steps> Stream for Later<S> {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Waiting(steps) => {
                    let turn = self.turns.clone().acquire_owned();
                    self.state = State::Queued(steps, Box::pin(turn));
                }
                State::Queued(mut steps, mut turn) => {
                    let Poll::Ready(turn) = turn.as_mut().poll(context) else {
                        self.state = State::Queued(steps, turn);
                        return Poll::Pending;
                    };
                    self.state = State::Working(tokio::task::spawn_blocking(move || {
                        let _turn = turn;
                        let made = steps.step();
                        (steps, made)
                    }));
                }
                State::Working(mut working) => {
                    let Poll::Ready(made) = Pin::new(&mut working).poll(context) else {
                        self.state = State::Working(working);
                        return Poll::Pending;
                    };
                    match made {
                        Ok((steps, Ok(Some(bytes)))) => {
                            self.state = State::Waiting(steps);
                            return Poll::Ready(Some(Ok(bytes)));
                        }
                        Ok((_, Ok(None))) => return Poll::Ready(None),
                        // The connection ends without its last chunk: no one takes the part for the whole.
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
