//! The prime sieve: a chain of tasks, each of which lets through what its prime does not divide.
//!
//! Every prime adds a filter to the end of the chain; the first number to come through all of them
//! is the next prime. When `main` has enough, dropping the last receiver ends the chain, link by
//! link, back to the source.
//!
//! Go: the concurrent prime sieve of its tutorial, where the goroutines are left behind.
//!
//! Run: `cargo run --release --example prime_sieve`
//!
//! Prints the first ten primes, and `the 1000th prime is 7919`.

use sync::{Receiver, Sender, channel};

async fn count(numbers: Sender<u32>) {
    for n in 2.. {
        if numbers.send(n).await.is_err() {
            return;
        }
    }
}

async fn filter(numbers: Receiver<u32>, rest: Sender<u32>, prime: u32) {
    while let Some(n) = numbers.recv().await {
        if n % prime != 0 && rest.send(n).await.is_err() {
            return;
        }
    }
}

#[runtime::main]
async fn main() {
    let (tx, mut numbers) = channel(0);
    runtime::spawn(count(tx));
    let mut primes = Vec::new();
    while primes.len() < 1000 {
        let prime = numbers.recv().await.expect("there is always another prime");
        primes.push(prime);
        let (tx, rest) = channel(0);
        runtime::spawn(filter(numbers, tx, prime));
        numbers = rest;
    }
    assert_eq!(primes[999], 7919);
    println!("{:?}", &primes[..10]);
    println!("the 1000th prime is {}", primes[999]);
}
