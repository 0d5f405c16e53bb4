//! Power series as networks of tasks, after Doug McIlroy's "Squinting at Power Series" and what
//! Go's `test/chan/powser1.go` and `powser2.go` check; written anew.
//!
//! A series is a pair of channels without a buffer: its reader asks on one and gets the next
//! coefficient on the other, so that nothing is computed before it is wanted. Each operation is a
//! task between such pairs, and the product of two series goes on making tasks for as long as it is
//! read. What it tries is the rendezvous: thousands of them, in selects on both sides, and a loop
//! where the end of the network is part of its own input.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::sync::Arc;

use runtime::{num_tasks, spawn, yield_now};
use support::{WORKERS, on_each};
use sync::{Receiver, Select, Sender, channel, select};

/// A rational number in its lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rat {
    num: i64,
    den: i64,
}

const ZERO: Rat = int(0);
const ONE: Rat = int(1);

const fn int(num: i64) -> Rat {
    Rat { num, den: 1 }
}

fn rat(num: i64, den: i64) -> Rat {
    fn gcd(a: i64, b: i64) -> i64 {
        if b == 0 { a.abs() } else { gcd(b, a % b) }
    }
    assert_ne!(den, 0, "division by zero");
    let divisor = gcd(num, den) * den.signum();
    Rat {
        num: num / divisor,
        den: den / divisor,
    }
}

impl Rat {
    fn plus(self, other: Self) -> Self {
        rat(
            self.num * other.den + other.num * self.den,
            self.den * other.den,
        )
    }

    fn times(self, other: Self) -> Self {
        rat(self.num * other.num, self.den * other.den)
    }

    fn negated(self) -> Self {
        rat(-self.num, self.den)
    }

    fn inverse(self) -> Self {
        rat(self.den, self.num)
    }
}

/// A coefficient; `None` is the end of a series that has one.
type Term = Option<Rat>;

/// What goes through the channels: the term itself (powser1), or something that has it (powser2,
/// where it is an interface).
trait Item: Clone + Send + 'static {
    fn new(term: Term) -> Self;
    fn term(&self) -> Term;
}

impl Item for Term {
    fn new(term: Term) -> Self {
        term
    }

    fn term(&self) -> Term {
        *self
    }
}

trait Coefficient: Send + Sync {
    fn value(&self) -> Term;
}

impl Coefficient for Term {
    fn value(&self) -> Term {
        *self
    }
}

impl Item for Arc<dyn Coefficient> {
    fn new(term: Term) -> Self {
        Arc::new(term)
    }

    fn term(&self) -> Term {
        self.value()
    }
}

/// The end of a series that is read.
#[derive(Clone)]
struct Series<I> {
    ask: Sender<()>,
    items: Receiver<I>,
}

/// The end that makes it.
#[derive(Clone)]
struct Maker<I> {
    asked: Receiver<()>,
    items: Sender<I>,
}

fn pair<I>() -> (Series<I>, Maker<I>) {
    let ((ask, asked), (sender, receiver)) = (channel(0), channel(0));
    let items = receiver;
    let series = Series { ask, items };
    let items = sender;
    (series, Maker { asked, items })
}

impl<I: Item> Series<I> {
    /// The next term; `None` if nobody makes it any more.
    async fn get(&self) -> Option<Term> {
        self.ask.send(()).await.ok()?;
        Some(self.items.recv().await?.term())
    }
}

impl<I: Item> Maker<I> {
    /// Waits until a term is wanted; `None` if nobody will want one.
    async fn asked(&self) -> Option<()> {
        self.asked.recv().await
    }

    async fn give(&self, term: Term) -> Option<()> {
        self.items.send(I::new(term)).await.ok()
    }

    async fn put(&self, term: Term) -> Option<()> {
        self.asked().await?;
        self.give(term).await
    }

    /// Passes on what is left of a series.
    async fn copy(&self, series: &Series<I>) -> Option<()> {
        loop {
            self.asked().await?;
            self.give(series.get().await?).await?;
        }
    }
}

/// A series that a task of its own makes, until the reader is gone.
fn make<I: Item, F>(body: impl FnOnce(Maker<I>) -> F) -> Series<I>
where
    F: Future<Output = Option<()>> + Send + 'static,
{
    let (series, maker) = pair();
    spawn(body(maker));
    series
}

/// One term of each of two series, in whichever order they come.
async fn get_both<I: Item>(u: &Series<I>, v: &Series<I>) -> Option<(Term, Term)> {
    let (mut ask_u, mut ask_v) = (true, true);
    let (mut got_u, mut got_v) = (None, None);
    while got_u.is_none() || got_v.is_none() {
        select! {
            sent = u.ask.send(()), if ask_u => {
                sent.ok()?;
                ask_u = false;
            }
            sent = v.ask.send(()), if ask_v => {
                sent.ok()?;
                ask_v = false;
            }
            item = u.items.recv(), if !ask_u && got_u.is_none() => got_u = Some(item?.term()),
            item = v.items.recv(), if !ask_v && got_v.is_none() => got_v = Some(item?.term()),
        }
    }
    got_u.zip(got_v)
}

/// One term of each of many series, in whichever order they come.
async fn get_each<I: Item>(series: &[Series<I>]) -> Option<Vec<Term>> {
    let mut asked = vec![false; series.len()];
    let mut terms = vec![None; series.len()];
    for _ in 0..2 * series.len() {
        let mut select = Select::new();
        for (i, series) in series.iter().enumerate() {
            if !asked[i] {
                select.send(&series.ask, (), move |sent| sent.ok().map(|()| (i, None)));
            } else if terms[i].is_none() {
                select.recv(&series.items, move |item| {
                    item.map(|item| (i, Some(item.term())))
                });
            }
        }
        let (i, term) = select.wait().await?;
        asked[i] = true;
        terms[i] = term;
    }
    terms.into_iter().collect()
}

/// Two series like one, which may be read at different rates.
fn split<I: Item>(series: Series<I>) -> (Series<I>, Series<I>) {
    let ((first, to_first), (second, to_second)) = (pair(), pair());
    split_into(series, [to_first, to_second]);
    (first, second)
}

fn split_into<I: Item>(series: Series<I>, to: [Maker<I>; 2]) {
    let (release, wait) = channel(1);
    release.try_send(()).unwrap();
    generation(series, to, wait);
}

/// A task for one term, made when the first reader wants it, and gone when both have it. The newest
/// serves the reader who is ahead, always `to[0]`; the others hold what the one behind has not had
/// yet, and let it have that one after the other: `wait` says that all older ones are through.
fn generation<I: Item>(series: Series<I>, mut to: [Maker<I>; 2], wait: Receiver<()>) {
    let body = async move {
        let mut oldest = false;
        let ahead = select! {
            asked = to[0].asked.recv() => asked,
            _ = wait.recv() => {
                oldest = true;
                None
            }
        };
        if ahead.is_none() {
            if !oldest {
                // The one ahead has gone: the other goes on from here.
                wait.recv().await;
                oldest = true;
            }
            asked_by_either(&mut to).await?;
        }
        series.ask.send(()).await.ok()?;
        let (release, next) = channel(0);
        generation(series.clone(), to.clone(), next);
        let term = series.items.recv().await?.term();
        // A reader who has gone takes nothing; the other still does.
        to[0].give(term).await;
        if !oldest {
            wait.recv().await;
        }
        if to[1].asked().await.is_some() {
            to[1].give(term).await;
        }
        release.send(()).await.ok()
    };
    spawn(body);
}

/// Waits for a reader who wants a term, and makes it the one ahead; `None` if both are gone.
async fn asked_by_either<I: Item>(to: &mut [Maker<I>; 2]) -> Option<()> {
    let (mut who, mut asked) = select! {
        asked = to[0].asked() => (0, asked),
        asked = to[1].asked.recv() => (1, asked),
    };
    if asked.is_none() {
        who = 1 - who;
        asked = to[who].asked().await;
    }
    to.swap(0, who);
    asked
}

/// c c c c …
fn repeat<I: Item>(c: Rat) -> Series<I> {
    make(async move |to: Maker<I>| {
        loop {
            to.put(Some(c)).await?;
        }
    })
}

/// A polynomial.
fn poly<I: Item>(terms: &[Rat]) -> Series<I> {
    let terms = terms.to_vec();
    make(|to: Maker<I>| async move {
        for term in terms {
            to.put(Some(term)).await?;
        }
        to.put(None).await
    })
}

fn add<I: Item>(u: Series<I>, v: Series<I>) -> Series<I> {
    make(|to: Maker<I>| async move {
        loop {
            to.asked().await?;
            match get_both(&u, &v).await? {
                (Some(a), Some(b)) => to.give(Some(a.plus(b))).await?,
                (None, b @ Some(_)) => {
                    to.give(b).await?;
                    return to.copy(&v).await;
                }
                (a @ Some(_), None) => {
                    to.give(a).await?;
                    return to.copy(&u).await;
                }
                (None, None) => return to.give(None).await,
            }
        }
    })
}

/// Each term changed by a function, which is told its place.
fn map<I: Item>(u: Series<I>, f: impl Fn(i64, Rat) -> Rat + Send + 'static) -> Series<I> {
    make(|to: Maker<I>| async move {
        for i in 0.. {
            to.asked().await?;
            let term = u.get().await?;
            to.give(term.map(|a| f(i, a))).await?;
            term?;
        }
        None
    })
}

fn scale<I: Item>(c: Rat, u: Series<I>) -> Series<I> {
    map(u, move |_, a| c.times(a))
}

fn sub<I: Item>(u: Series<I>, v: Series<I>) -> Series<I> {
    add(u, scale(ONE.negated(), v))
}

/// c + x u
fn shift<I: Item>(c: Rat, u: Series<I>) -> Series<I> {
    make(|to: Maker<I>| async move {
        to.put(Some(c)).await?;
        to.copy(&u).await
    })
}

/// With u = a + x U and v = b + x V: u v = a b + x (a V + b U) + x² U V.
fn mul<I: Item>(u: Series<I>, v: Series<I>) -> Series<I> {
    make(|to: Maker<I>| async move {
        to.asked().await?;
        let (Some(a), Some(b)) = get_both(&u, &v).await? else {
            return to.give(None).await;
        };
        to.give(Some(a.times(b))).await?;
        let ((u0, u1), (v0, v1)) = (split(u), split(v));
        let middle = add(scale(a, v0), scale(b, u0));
        to.asked().await?;
        to.give(middle.get().await?).await?;
        to.copy(&add(middle, mul(u1, v1))).await
    })
}

fn differentiate<I: Item>(u: Series<I>) -> Series<I> {
    let derived = map(u, |i, a| int(i).times(a));
    make(|to: Maker<I>| async move {
        to.asked().await?;
        if derived.get().await?.is_none() {
            return to.give(None).await;
        }
        to.give(derived.get().await?).await?;
        to.copy(&derived).await
    })
}

fn integrate<I: Item>(c: Rat, u: Series<I>) -> Series<I> {
    shift(c, map(u, |i, a| a.times(rat(1, i + 1))))
}

/// (1 + x)^c
fn binomial<I: Item>(mut c: Rat) -> Series<I> {
    make(async move |to: Maker<I>| {
        let mut term = ONE;
        for i in 1.. {
            to.put(Some(term).filter(|&term| term != ZERO)).await?;
            term = term.times(c).times(rat(1, i));
            c = c.plus(ONE.negated());
        }
        None
    })
}

/// 1 / u. With u = a + x U and the result z = 1/a + x Z: Z = -U z / a. What it makes is what it is
/// made of.
fn reciprocal<I: Item>(u: Series<I>) -> Series<I> {
    make(|to: Maker<I>| async move {
        to.asked().await?;
        let a = u.get().await??.inverse();
        to.give(Some(a)).await?;
        let ((inside, to_inside), (outside, to_outside)) = (pair(), pair());
        let rest = mul(scale(a.negated(), u), shift(a, inside));
        split_into(rest, [to_inside, to_outside]);
        to.copy(&outside).await
    })
}

/// e^u, for a u without a constant: z = ∫ z u'. What it makes is what it is made of.
fn exp<I: Item>(u: Series<I>) -> Series<I> {
    let ((inside, to_inside), (outside, to_outside)) = (pair(), pair());
    let z = integrate(ONE, mul(inside, differentiate(u)));
    split_into(z, [to_inside, to_outside]);
    outside
}

/// The tangent: z = ∫ 1 + z². Three readers of what it makes, two of them inside.
fn tan<I: Item>() -> Series<I> {
    let ((inside, to_inside), (outside, to_outside)) = (pair(), pair());
    let (a, b) = split(inside);
    let z = integrate(ZERO, add(poly(&[ONE]), mul(a, b)));
    split_into(z, [to_inside, to_outside]);
    outside
}

/// u(v), for a v without a constant. With u = a + x U and v = x V: u(v) = a + V x U(v).
fn substitute<I: Item>(u: Series<I>, v: Series<I>) -> Series<I> {
    make(|to: Maker<I>| async move {
        let (v0, v1) = split(v);
        to.asked().await?;
        let a = u.get().await?;
        to.give(a).await?;
        a?;
        match v0.get().await? {
            None => to.put(None).await,
            Some(_) => to.copy(&mul(v0, substitute(u, v1))).await,
        }
    })
}

/// u(c x^n)
fn substitute_monomial<I: Item>(u: Series<I>, c: Rat, n: usize) -> Series<I> {
    make(async move |to: Maker<I>| {
        let mut power = ONE;
        loop {
            to.asked().await?;
            let term = u.get().await?;
            to.give(term.map(|a| a.times(power))).await?;
            term?;
            power = power.times(c);
            for _ in 1..n {
                to.put(Some(ZERO)).await?;
            }
        }
    })
}

async fn starts_with<I: Item>(series: &Series<I>, terms: &[Rat]) {
    for (i, &term) in terms.iter().enumerate() {
        assert_eq!(series.get().await, Some(Some(term)), "coefficient {i}");
    }
}

async fn is<I: Item>(series: &Series<I>, terms: &[Rat]) {
    starts_with(series, terms).await;
    assert_eq!(series.get().await, Some(None), "the end");
}

fn ints(terms: [i64; 10]) -> [Rat; 10] {
    terms.map(int)
}

/// 1 1 1 1 …, which is 1 / (1 - x).
fn ones<I: Item>() -> Series<I> {
    repeat(ONE)
}

fn twos<I: Item>() -> Series<I> {
    repeat(int(2))
}

/// What the two programs of Go check, and what else they define.
async fn program<I: Item>() {
    starts_with(&ones::<I>(), &[ONE; 10]).await;
    starts_with(&add::<I>(ones(), ones()), &[int(2); 10]).await;
    starts_with(&add::<I>(ones(), twos()), &[int(3); 10]).await;
    starts_with(&scale::<I>(int(-1), twos()), &[int(-2); 10]).await;
    starts_with(&sub::<I>(ones(), twos()), &[int(-1); 10]).await;
    let counting = ints([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    starts_with(&differentiate::<I>(ones()), &counting).await;
    starts_with(&mul::<I>(ones(), ones()), &counting).await;
    let mut harmonic = counting.map(Rat::inverse);
    harmonic.rotate_right(1);
    harmonic[0] = ZERO;
    starts_with(&integrate::<I>(ZERO, ones()), &harmonic).await;
    let exponential = [
        ONE,
        ONE,
        rat(3, 2),
        rat(13, 6),
        rat(73, 24),
        rat(167, 40),
        rat(4051, 720),
        rat(37633, 5040),
        rat(43817, 4480),
        rat(4596553, 362880),
    ];
    starts_with(&exp::<I>(ones()), &exponential).await;
    let arctangent: Vec<_> = (0..10)
        .map(|i| match i % 4 {
            1 => rat(1, i),
            3 => rat(-1, i),
            _ => ZERO,
        })
        .collect();
    let derivative = substitute_monomial::<I>(ones(), int(-1), 2);
    starts_with(&integrate(ZERO, derivative), &arctangent).await;
    let tangent = [
        ZERO,
        ONE,
        ZERO,
        rat(1, 3),
        ZERO,
        rat(2, 15),
        ZERO,
        rat(17, 315),
        ZERO,
        rat(62, 2835),
    ];
    starts_with(&tan::<I>(), &tangent).await;

    let one_minus_x = [ONE, int(-1)];
    starts_with(&reciprocal::<I>(poly(&one_minus_x)), &[ONE; 10]).await;
    is(&binomial::<I>(int(4)), &[1, 4, 6, 4, 1].map(int)).await;
    // Two square roots of 1 + x make 1 + x.
    let root = || binomial::<I>(rat(1, 2));
    let mut square = [ZERO; 10];
    (square[0], square[1]) = (ONE, ONE);
    starts_with(&mul(root(), root()), &square).await;
    // 1 / (1 - 2x) out of 1 / (1 - x).
    let twice = substitute::<I>(ones(), poly(&[ZERO, int(2)]));
    let powers = ints([1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
    starts_with(&twice, &powers).await;
}

#[test]
fn power_series() {
    on_each(WORKERS, program::<Term>);
}

#[test]
fn power_series_of_trait_objects() {
    on_each(WORKERS, program::<Arc<dyn Coefficient>>);
}

#[test]
fn many_series_are_asked_at_once() {
    on_each(WORKERS, || async {
        let series: Vec<Series<Term>> = (0..40).map(|n| binomial(int(n))).collect();
        let mut sums: Vec<i64> = Vec::new();
        for _ in 0..3 {
            let terms = get_each(&series).await.unwrap();
            sums.push(terms.into_iter().flatten().map(|term| term.num).sum());
        }
        // How many ways there are to choose none, one and two out of each number below 40.
        assert_eq!(sums, [40, 39 * 40 / 2, 38 * 39 * 40 / 6]);
    });
}

#[test]
fn readers_of_a_split_series_may_be_far_apart_change_places_and_go() {
    on_each(WORKERS, || async {
        let numbers: Vec<_> = (0..300).map(int).collect();
        let (a, b) = split::<Term>(poly(&numbers));
        starts_with(&a, &numbers[..100]).await;
        starts_with(&b, &numbers[..200]).await;
        starts_with(&a, &numbers[100..210]).await;
        drop(a);
        is(&b, &numbers[200..]).await;
    });
}

#[test]
fn a_network_ends_with_its_reader() {
    on_each(WORKERS, || async {
        let before = num_tasks();
        let product = mul::<Term>(mul(ones(), twos()), differentiate(ones()));
        for _ in 0..20 {
            product.get().await.unwrap();
        }
        assert!(num_tasks() > before);
        drop(product);
        while num_tasks() > before {
            yield_now().await;
        }
    });
}
