//! Python's torchrun starts the ranks as the repository's own launcher does.

use std::process::Command;

use tests::python;

use super::distilling::{PROGRAM, distilled, student};

#[test]
fn under_torchrun_ranks_train_the_same_bytes_as_under_our_own_launcher() {
    let imports = "import torch.distributed.run";
    let Some(python) = python("under_torchrun_ranks_train_the_same_bytes_as_under_our_own_launcher", imports)
    else {
        return;
    };
    let [own, torchrun] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    distilled(own.path(), &["run"], 2);
    let mut command = Command::new(python);
    command.args(["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]);
    command.arg(PROGRAM).arg(torchrun.path()).arg("run").env("OMP_NUM_THREADS", "1");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = |folder: &tempfile::TempDir| {
        student(folder.path(), 2);
        std::fs::read(folder.path().join("student-0.safetensors")).unwrap()
    };
    assert!(bytes(&torchrun) == bytes(&own), "torchrun's ranks train another student");
}
