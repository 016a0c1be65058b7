//! What this machine has, checked before anything is downloaded.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::process::answer;

/// Whether a libtorch wheel exists for this machine.
pub(crate) const HAS_A_WHEEL: bool =
    cfg!(all(target_os = "linux", target_arch = "x86_64", target_env = "gnu"));

/// Whether there is an NVIDIA GPU with its driver.
pub(crate) fn has_nvidia_gpu() -> bool {
    answer(Command::new("nvidia-smi").arg("-L")).is_some_and(|list| list.contains("GPU "))
}

/// What is wrong with the C++ compiler that the build of libtorch's binding will call.
pub(crate) fn compiler_problem() -> Option<String> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    // The variable may contain a launcher or options too: `ccache g++`.
    let mut words = compiler.split_whitespace();
    let works = answer(Command::new(words.next().unwrap_or_default()).args(words).arg("--version")).is_some();
    (!works).then(|| {
        format!("no C++ compiler: `{compiler}` does not run; install one (Debian, Ubuntu: apt install g++)")
    })
}

/// What is wrong with the free space at `path`, in megabytes of 10^6 bytes.
pub(crate) fn disk_problem(path: &Path, needed: u64) -> Option<String> {
    // If `df` says nothing useful, go ahead and let the write fail.
    let free = free_megabytes(&answer(Command::new("df").arg("-Pk").arg(path))?)?;
    (free < needed).then(|| {
        format!(
            "too little disk: `{}` has {free} MB free and set-up needs {needed} MB; make room",
            path.display()
        )
    })
}

/// The free space in the answer of `df -Pk`, in megabytes of 10^6 bytes.
///
/// Names of devices and mount points may contain spaces, so the columns are counted from the one that ends with a percent
/// sign: the column before it is the free kilobytes (of 1,024 bytes).
fn free_megabytes(answer: &str) -> Option<u64> {
    let columns: Vec<&str> = answer.lines().nth(1)?.split_whitespace().collect();
    let percent = columns.iter().position(|column| column.ends_with('%'))?;
    let kilobytes: u64 = columns.get(percent.checked_sub(1)?)?.parse().ok()?;
    Some(kilobytes * 1024 / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_read_in_decimal_megabytes() {
        let answer = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                      /dev/vda 264212084 22113808 73172080 24% /\n";
        // 73,172,080 * 1,024 = 74,928,209,920 bytes.
        assert_eq!(free_megabytes(answer), Some(74_928));
    }

    #[test]
    fn names_with_spaces_do_not_shift_the_columns() {
        let answer = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                      /dev/my disk 2000 1000 1000000 50% /a place 7%\n";
        assert_eq!(free_megabytes(answer), Some(1_024));
    }

    #[test]
    fn an_answer_of_another_form_gives_no_number() {
        for answer in ["", "Filesystem\n", "Filesystem\n24% /\n", "Filesystem\n/dev/vda 1 2 many 24% /\n"] {
            assert_eq!(free_megabytes(answer), None, "{answer:?}");
        }
    }

    #[test]
    fn a_full_disk_is_reported_with_both_numbers() {
        let problem = disk_problem(Path::new("/"), u64::MAX).unwrap();
        assert!(problem.contains("needs 18446744073709551615 MB"), "{problem}");
        assert_eq!(disk_problem(Path::new("/"), 0), None);
    }
}
