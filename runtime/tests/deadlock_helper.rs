//! A thread that was there before a test began may wake it all the same: a pool, a resolver, a
//! helper that an earlier test has started.
//!
//! The only test of its process, for the threads of others would be reason enough to wait.
#![cfg(target_os = "linux")]

use std::future::poll_fn;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Longer than the check takes to make up its mind.
const LATER: Duration = Duration::from_millis(700);

/// What a test asks of the helper, and who waits for the answer.
#[derive(Default)]
struct Question {
    answered: bool,
    asker: Option<Waker>,
}

type Shared = Arc<Mutex<Question>>;

static HELPER: Mutex<Option<mpsc::Sender<Shared>>> = Mutex::new(None);

/// Answers each question after a while, as one does that reads a file or asks a name server.
fn help(questions: mpsc::Receiver<Shared>) {
    for question in questions {
        thread::sleep(LATER);
        let mut question = question.lock().unwrap();
        question.answered = true;
        let asker = question.asker.take();
        drop(question);
        if let Some(asker) = asker {
            asker.wake();
        }
    }
}

#[runtime::test]
#[ignore = "called by the test below, when the helper is there"]
async fn asks_the_helper() {
    let question = Shared::default();
    let helper = HELPER.lock().unwrap().clone();
    // Run by itself, there is nobody to ask.
    let Some(helper) = helper else { return };
    helper.send(question.clone()).unwrap();
    drop(helper);
    poll_fn(|cx| {
        let mut question = question.lock().unwrap();
        if question.answered {
            return Poll::Ready(());
        }
        question.asker = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

#[test]
fn a_helper_from_before_the_test_is_waited_for() {
    let (ask, questions) = mpsc::channel();
    let helper = thread::spawn(move || help(questions));
    *HELPER.lock().unwrap() = Some(ask);
    asks_the_helper();
    *HELPER.lock().unwrap() = None;
    helper.join().unwrap();
}
