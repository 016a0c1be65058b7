//! What each launcher sets, and what is wrong with half of it.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Option<Ranks>> {
    Ranks::from_variables(|name| {
        variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn found(variables: &[(&str, &str)]) -> (usize, usize, usize, String, u16) {
    let ranks = read(variables).unwrap().unwrap();
    (ranks.rank(), ranks.world_size(), ranks.local_rank(), ranks.address.clone(), ranks.port)
}

fn refused(variables: &[(&str, &str)]) -> String {
    read(variables).unwrap_err().to_string()
}

const PLACE: [(&str, &str); 2] = [("MASTER_ADDR", "node7"), ("MASTER_PORT", "29500")];

#[test]
fn every_launcher_is_understood() {
    let here = |rank, size, local| (rank, size, local, "node7".to_owned(), 29_500);
    let torchrun = [("RANK", "3"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "1"), PLACE[0], PLACE[1]];
    assert_eq!(found(&torchrun), here(3, 4, 1));
    let open_mpi = [
        ("OMPI_COMM_WORLD_RANK", "0"),
        ("OMPI_COMM_WORLD_SIZE", "2"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "0"),
        PLACE[0],
        PLACE[1],
    ];
    assert_eq!(found(&open_mpi), here(0, 2, 0));
    let mpich = [("PMI_RANK", "1"), ("PMI_SIZE", "2"), ("MPI_LOCALRANKID", "1"), PLACE[0], PLACE[1]];
    assert_eq!(found(&mpich), here(1, 2, 1));
    let slurm = [
        ("SLURM_PROCID", "5"),
        ("SLURM_NTASKS", "8"),
        ("SLURM_LOCALID", "1"),
        ("SLURM_STEP_ID", "0"),
        ("SLURM_JOB_ID", "4200317"),
        ("SLURM_JOB_NODELIST", "gpu[07-08]"),
        // `srun --mpi=pmi2`
        ("PMI_RANK", "5"),
        ("PMI_SIZE", "8"),
    ];
    assert_eq!(found(&slurm), (5, 8, 1, "gpu07".to_owned(), 15_317));
}

#[test]
fn open_mpi_inside_a_job_is_not_taken_for_srun() {
    // Each machine's daemon is a task of a step, and its processes inherit the daemon's number.
    let variables = [
        ("OMPI_COMM_WORLD_RANK", "3"),
        ("OMPI_COMM_WORLD_SIZE", "4"),
        ("OMPI_COMM_WORLD_LOCAL_RANK", "1"),
        ("SLURM_PROCID", "1"),
        ("SLURM_NTASKS", "2"),
        ("SLURM_STEP_ID", "0"),
        PLACE[0],
        PLACE[1],
    ];
    assert_eq!(found(&variables).0, 3);
}

#[test]
fn a_process_alone_has_no_ranks() {
    assert_eq!(read(&[]).unwrap(), None);
    assert_eq!(read(&[("RANK", "0"), ("WORLD_SIZE", "1")]).unwrap(), None);
    // A shell inside an allocation of four tasks.
    assert_eq!(read(&[("SLURM_PROCID", "0"), ("SLURM_NTASKS", "4"), ("SLURM_JOB_ID", "7")]).unwrap(), None);
}

#[test]
fn half_an_environment_is_an_error_that_names_both_halves() {
    let error = refused(&[("RANK", "1"), PLACE[0], PLACE[1]]);
    assert!(error.contains("RANK is set but WORLD_SIZE is not"), "{error}");
    let error = refused(&[("WORLD_SIZE", "1")]);
    assert!(error.contains("WORLD_SIZE is set but RANK is not"), "{error}");
    let error = refused(&[("OMPI_COMM_WORLD_SIZE", "2"), PLACE[0], PLACE[1]]);
    assert!(error.contains("OMPI_COMM_WORLD_SIZE is set but OMPI_COMM_WORLD_RANK is not"), "{error}");
}

#[test]
fn all_mistakes_come_at_once() {
    let error = refused(&[("RANK", "2"), ("WORLD_SIZE", "2"), ("LOCAL_RANK", "x"), ("MASTER_PORT", "0")]);
    for part in [
        "4 problems",
        "RANK is 2 and WORLD_SIZE is 2",
        "LOCAL_RANK is `x`",
        "MASTER_ADDR is not set",
        "MASTER_PORT is `0`",
    ] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_store_is_hosted_by_rank_0_unless_the_launcher_has_one() {
    let variables = [("RANK", "0"), ("WORLD_SIZE", "2"), PLACE[0], PLACE[1]];
    let host = |extra: (&'static str, &'static str)| {
        let all: Vec<_> = variables.iter().copied().chain([extra]).collect();
        read(&all).unwrap().unwrap().store
    };
    assert_eq!(host(("BREW_LISTEN_FD", "0")), StoreHost::Rank0 { socket: Some(0) });
    assert_eq!(host(("TORCHELASTIC_USE_AGENT_STORE", "True")), StoreHost::Launcher);
    assert_eq!(host(("TORCHELASTIC_USE_AGENT_STORE", "False")), StoreHost::Rank0 { socket: None });
}
