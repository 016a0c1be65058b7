//! Compares the chunked loss with the dense one: peak memory and time of a forward and a backward pass from hidden states
//! and output matrices, one process per point.
//!
//! ```sh
//! cargo run -p examples --bin chunked
//! ```
//!
//! Vocabulary 32,000; a student 256 wide and a teacher 512 wide; float32, on one thread. The peak is the
//! process's own (`VmHWM`), minus what it held before the pass: weights, hidden states, and libtorch itself.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::process::{Command, ExitCode};
use std::time::Instant;

use brew_core::loss::{Chunked, Features, Kl, Loss as _};
use brew_core::prelude::*;
use brew_core::role::OutputWeight;
use brew_core::tch;

const VOCABULARY: i64 = 32_000;
const STUDENT: i64 = 256;
const TEACHER: i64 = 512;
const ROWS: [i64; 5] = [256, 512, 1024, 2048, 4096];
/// Number of passes, of which the fastest counts.
const PASSES: usize = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.as_slice() {
        [] => table(),
        [path, rows] => rows
            .parse()
            .map_err(|error| Error::invalid(format!("`{rows}` is not a number of rows: {error}")))
            .and_then(|rows| point(path, rows)),
        _ => Err(Error::invalid("it takes no arguments, or `dense` or `chunked` and a number of rows")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every point and prints a table.
fn table() -> Result<()> {
    println!("| rows | dense, MB | chunked, MB | dense, s | chunked, s |");
    println!("|---:|---:|---:|---:|---:|");
    for rows in ROWS {
        let (dense, chunked) = (measured("dense", rows)?, measured("chunked", rows)?);
        println!("| {rows} | {} | {} | {} | {} |", dense.0, chunked.0, dense.1, chunked.1);
    }
    Ok(())
}

/// Peak and time of a point, as its process printed them.
fn measured(path: &str, rows: i64) -> Result<(String, String)> {
    let program = std::env::current_exe().map_err(|error| Error::invalid(error.to_string()))?;
    let output = Command::new(&program)
        .args([path, &rows.to_string()])
        .output()
        .map_err(|error| Error::file(&program, error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<&str> = text.split_whitespace().collect();
    match numbers.as_slice() {
        [peak, seconds] if output.status.success() => Ok(((*peak).to_owned(), (*seconds).to_owned())),
        _ => Err(Error::invalid(format!(
            "{path} of {rows} rows: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// One point: prints the megabytes of its peak and its seconds.
fn point(path: &str, rows: i64) -> Result<()> {
    tch::set_num_threads(1);
    tch::manual_seed(0);
    let random = |size: [i64; 2]| Tensor::f_randn(size, (Kind::Float, Device::Cpu));
    let hidden = random([rows, STUDENT])?.f_set_requires_grad(true)?;
    let weight = random([VOCABULARY, STUDENT])?.f_mul_scalar(0.1)?.f_detach()?.f_set_requires_grad(true)?;
    let (teacher_hidden, teacher_weight) =
        (random([rows, TEACHER])?, random([VOCABULARY, TEACHER])?.f_mul_scalar(0.1)?);
    // What libtorch allocates at its first product does not belong to the loss.
    let _ = random([8, 8])?.f_matmul(&random([8, 8])?)?;
    let before = memory("VmRSS")?;
    let mut fastest = f64::INFINITY;
    for _ in 0..PASSES {
        let start = Instant::now();
        let side = |hidden: &Tensor, weight: &Tensor| {
            Features::one(hidden.shallow_clone()).with::<OutputWeight>(weight.shallow_clone())
        };
        let loss = match path {
            "chunked" => Chunked::of(Kl::at(1.0))
                .term(&side(&hidden, &weight), &side(&teacher_hidden, &teacher_weight))?,
            "dense" => {
                let logits = Features::one(hidden.f_matmul(&weight.f_tr()?)?);
                Kl::at(1.0)
                    .term(&logits, &Features::one(teacher_hidden.f_matmul(&teacher_weight.f_tr()?)?))?
            }
            other => return Err(Error::invalid(format!("`{other}` is neither `dense` nor `chunked`"))),
        };
        loss.mean()?.f_backward()?;
        fastest = fastest.min(start.elapsed().as_secs_f64());
        for mut gradient in [hidden.grad(), weight.grad()] {
            let _ = gradient.f_zero_()?;
        }
    }
    println!("{:.0} {fastest:.2}", (memory("VmHWM")? - before) / 1e3);
    Ok(())
}

/// A line of this process's status, in kilobytes.
fn memory(line: &str) -> Result<f64> {
    let path = "/proc/self/status";
    let status = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
    let found = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'));
    let kilobytes = found.and_then(|found| found.trim().strip_suffix("kB")?.trim().parse().ok());
    kilobytes.ok_or_else(|| Error::file(path, format!("it has no {line} in kB")))
}
