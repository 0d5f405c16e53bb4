//! The command line.
#![forbid(unsafe_code)]

use std::path::PathBuf;

/// What the process is to do.
#[derive(Debug)]
pub(crate) enum Mode {
    /// Say what there is to say on the command line.
    Help,
    /// Compare peers.
    Compare(Options),
    /// Run one workload on one runtime.
    Child(Order),
    /// Serve: kind, peer, workers.
    Serve(String, String, usize),
    /// Print the workloads.
    List,
    /// Print what sharing costs on many cores, by a model.
    Model,
    /// Measure what the monitor costs.
    MonitorCost(Cost),
}

/// How to compare.
#[derive(Debug)]
pub(crate) struct Options {
    /// Workloads; all when empty. A name that ends in `*` is a prefix.
    pub(crate) only: Vec<String>,
    /// Peers; all when empty.
    pub(crate) peers: Vec<String>,
    /// Runs of each.
    pub(crate) runs: usize,
    /// Workers of each runtime; with several numbers, every workload runs with each.
    pub(crate) workers: Vec<usize>,
    /// Fraction of the sizes.
    pub(crate) scale: f64,
    /// Seconds that a child may take.
    pub(crate) limit: u64,
    /// Where the raw figures go.
    pub(crate) json: Option<PathBuf>,
    /// Where the charts go.
    pub(crate) svg: Option<PathBuf>,
    /// The directory of the document whose table and charts are made anew.
    pub(crate) report: Option<PathBuf>,
    /// Raw figures to show instead of measuring.
    pub(crate) from: Option<PathBuf>,
}

/// How to measure what the monitor costs.
#[derive(Debug, PartialEq)]
pub(crate) struct Cost {
    /// Pairs of runs of each workload.
    pub(crate) pairs: usize,
    /// Workers.
    pub(crate) workers: usize,
    /// Fraction of the sizes.
    pub(crate) scale: f64,
}

/// One run.
#[derive(Debug)]
pub(crate) struct Order {
    /// The workload's name.
    pub(crate) workload: String,
    /// The peer's name.
    pub(crate) peer: String,
    /// Workers.
    pub(crate) workers: usize,
    /// Fraction of the size.
    pub(crate) scale: f64,
}

pub(crate) const HELP: &str = "\
benches: Weftline beside Go, Tokio, smol, may and the channel crates.

Usage: cargo run --release -p benches -- [OPTIONS]

what to measure
  --only a,b*         these workloads; a star ends a prefix        (all)
  --peers x,y         these peers                                  (all)
  --list              name the workloads and their peers

how
  --runs N            runs of each                                 (5)
  --workers N[,N...]  workers of each runtime; several numbers     (2)
                      measure each, and show whether one collapses
  --scale F           fraction of the sizes                        (1)
  --quick             three runs at a tenth of the sizes
  --limit SECONDS     a run that takes longer hangs                (30)

what to make of it
  --json FILE         every figure of every run
  --svg DIR           charts
  --report DIR        measure all, also with 1 and 8 workers, and make the
                      tables and charts in DIR/PERFORMANCE.md anew;
                      with --only, these rows alone
  --from FILE         show the figures of a --json file, and measure nothing
  --model             what sharing costs on many cores, calculated
  --monitor-cost      what the monitor costs the fast path: --runs pairs (20)
                      with and without it, at --scale (0.2)
  --help              this text

A first look, at one row and two peers:
  cargo run --release -p benches -- --quick --only ring --peers weftline,tokio";

/// Reads the arguments.
pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Mode, String> {
    let (mut runs, mut scale, mut quick, mut monitor_cost) = (None, None, false, false);
    let mut options = Options {
        only: Vec::new(),
        peers: Vec::new(),
        runs: 5,
        workers: vec![2],
        scale: 1.0,
        limit: 30,
        json: None,
        svg: None,
        report: None,
        from: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| format!("{arg} wants a value; --help says which"))
        };
        match arg.as_str() {
            "--help" | "-h" => return Ok(Mode::Help),
            "--only" => options.only = list(&value()?),
            "--peers" => options.peers = list(&value()?),
            "--runs" => runs = Some(count(&arg, &value()?)?),
            "--workers" => {
                options.workers = (list(&value()?).iter())
                    .map(|one| count(&arg, one))
                    .collect::<Result<_, _>>()?;
            }
            "--scale" => scale = Some(fraction(&value()?)?),
            "--quick" => quick = true,
            "--limit" => options.limit = count(&arg, &value()?)? as u64,
            "--json" => options.json = Some(value()?.into()),
            "--svg" => options.svg = Some(value()?.into()),
            "--report" => options.report = Some(value()?.into()),
            "--from" => options.from = Some(value()?.into()),
            "--list" => return Ok(Mode::List),
            "--model" => return Ok(Mode::Model),
            "--monitor-cost" => monitor_cost = true,
            "--serve" => return Ok(Mode::Serve(value()?, value()?, count(&arg, &value()?)?)),
            "--child" => {
                return Ok(Mode::Child(Order {
                    workload: value()?,
                    peer: value()?,
                    workers: count(&arg, &value()?)?,
                    scale: fraction(&value()?)?,
                }));
            }
            _ => {
                return Err(format!(
                    "there is no option {arg}; --help says which there are"
                ));
            }
        }
    }
    if monitor_cost {
        return Ok(Mode::MonitorCost(Cost {
            pairs: runs.unwrap_or(20),
            workers: options.workers[0],
            scale: scale.unwrap_or(0.2),
        }));
    }
    // What is said outright counts, wherever it stands.
    options.runs = runs.unwrap_or(if quick { 3 } else { 5 });
    options.scale = scale.unwrap_or(if quick { 0.1 } else { 1.0 });
    Ok(Mode::Compare(options))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
}

fn count(option: &str, value: &str) -> Result<usize, String> {
    match value.parse() {
        Ok(n @ 1..) => Ok(n),
        _ => Err(format!("{option} wants a whole number from 1, not {value}")),
    }
}

fn fraction(value: &str) -> Result<f64, String> {
    match value.parse() {
        // A hundred times the size is surely a slip, and would fill the memory.
        Ok(f) if f > 0.0 && f <= 10.0 => Ok(f),
        _ => Err(format!(
            "--scale wants a fraction above 0 and up to 10, not {value}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &str) -> Result<Options, String> {
        match parse(args.split_whitespace().map(str::to_owned))? {
            Mode::Compare(options) => Ok(options),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_options_everything_runs_five_times_at_full_size() {
        let options = options("").expect("no mistake");
        assert_eq!(
            (options.runs, options.scale, &options.workers[..]),
            (5, 1.0, &[2][..])
        );
        assert!(options.only.is_empty() && options.peers.is_empty());
    }

    #[test]
    fn quick_yields_to_what_is_said_outright_wherever_it_stands() {
        for args in ["--quick --runs 7", "--runs 7 --quick"] {
            let options = options(args).expect("no mistake");
            assert_eq!((options.runs, options.scale), (7, 0.1), "{args}");
        }
    }

    #[test]
    fn several_numbers_of_workers_are_kept_in_order() {
        assert_eq!(
            options("--workers 1,2,8").expect("no mistake").workers,
            [1, 2, 8]
        );
    }

    #[test]
    fn the_monitor_s_cost_is_measured_in_twenty_pairs_unless_it_is_said_otherwise() {
        let cost = |args: &str| match parse(args.split_whitespace().map(str::to_owned)) {
            Ok(Mode::MonitorCost(cost)) => (cost.pairs, cost.workers, cost.scale),
            other => panic!("{other:?}"),
        };
        assert_eq!(cost("--monitor-cost"), (20, 2, 0.2));
        let args = "--runs 3 --monitor-cost --workers 1 --scale 0.01";
        assert_eq!(cost(args), (3, 1, 0.01));
    }

    #[test]
    fn nonsense_is_refused_with_the_option_s_name() {
        for (args, named) in [
            ("--runs 0", "--runs"),
            ("--runs many", "--runs"),
            ("--workers 2,0", "--workers"),
            ("--scale 0", "--scale"),
            ("--scale NaN", "--scale"),
            ("--scale -1", "--scale"),
            ("--json", "--json wants"),
            ("--fast", "no option --fast;"),
        ] {
            let mistake = options(args).expect_err(args);
            assert!(mistake.contains(named), "{args}: {mistake}");
        }
    }

    #[test]
    fn help_is_no_mistake_and_fits_a_terminal() {
        for args in ["--help", "-h", "--quick --help"] {
            let mode = parse(args.split_whitespace().map(str::to_owned));
            assert!(matches!(mode, Ok(Mode::Help)), "{args}: {mode:?}");
        }
        for line in HELP.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn a_child_is_told_its_workload_peer_workers_and_scale() {
        let args = ["--child", "ring", "go", "8", "0.5"].map(str::to_owned);
        let Ok(Mode::Child(order)) = parse(args.into_iter()) else {
            panic!("an order");
        };
        assert_eq!(
            (order.workload.as_str(), order.peer.as_str(), order.workers),
            ("ring", "go", 8)
        );
    }
}
