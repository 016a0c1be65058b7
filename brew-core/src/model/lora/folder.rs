//! Adapter folders as Python's peft writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::adaptable::{Adaptable, attach, of_tied, refuse_second, required};
use super::attach::Source;
use super::attached::{Attached, Base};
use super::{Attach, config_file};
use crate::disk;
use crate::error::{Error, Result};
use crate::model::folder::read_file;
use crate::model::weights::Stored;
use crate::parameters::{Parameters, write_tensors};
use crate::words::numbered;

/// The config of an adapter folder.
pub(crate) const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";
/// What older versions of peft wrote.
const PICKLED: &str = "adapter_model.bin";
/// The prefix of all names in the file.
const PREFIX: &str = "base_model.model.";
/// The base that an adapter was trained on. It is a file of its own because peft warns of keys that it does not know.
const BASE: &str = "base.json";

/// What [`BASE`] says.
#[derive(PartialEq, Serialize, Deserialize)]
struct BaseFile {
    /// The dtype of the base's weights.
    dtype: String,
    /// The hash of those that the adapter does not replace.
    weights: String,
}

impl BaseFile {
    fn of(attached: &Attached) -> Result<Self> {
        let (dtype, weights) = (format!("{:?}", attached.kind_of_base()), attached.hash_of_base()?);
        Ok(BaseFile { dtype, weights })
    }
}

/// Writes the adapters of a model to a folder that peft loads as it is. The folder is complete or absent.
///
/// # Errors
/// A file that cannot be written; a folder with other files, but without an adapter to replace.
pub(crate) fn save<M: Adaptable>(model: &M, folder: &Path) -> Result<()> {
    let attached = required(model)?;
    let named = attached.parameters();
    let facts = model.facts();
    let bare = |name: &str| name.strip_prefix(&facts.prefix).unwrap_or(name).to_owned();
    let named =
        named.iter().map(|(name, tensor)| (format!("{PREFIX}{}", bare(name)), tensor.shallow_clone()));
    let named = Parameters::new(named);
    let base = serde_json::to_vec_pretty(&BaseFile::of(attached)?).map_err(Error::other)?;
    let config = config_file::written(attached.settings(), &attached.targeted, &facts);
    let config = serde_json::to_vec_pretty(&config).map_err(Error::other)?;
    // Another rank may be replacing the folder, with the files that stay in it.
    let _turn = disk::turn(folder)?;
    let kept = others(folder)?;
    disk::write_folder(folder, |inside| {
        write_tensors(&inside.join(TENSORS), &named)?;
        disk::write(&inside.join(BASE), &base)?;
        disk::write(&inside.join(CONFIG), &config)?;
        for name in &kept {
            let (from, to) = (folder.join(name), inside.join(name));
            fs::copy(&from, to).map_err(|error| Error::file(from, error))?;
        }
        Ok(())
    })
}

/// The files of an adapter folder that are not the adapter's, such as a README, which stay when it is replaced.
fn others(folder: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| Error::file(folder, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if [CONFIG, TENSORS, BASE].contains(&name.as_str()) && folder.join(CONFIG).is_file() {
            continue;
        }
        if entry.path().is_dir() || !folder.join(CONFIG).is_file() {
            let message = format!(
                "an adapter is saved to a folder of its own, but there is `{name}` in this one: choose another folder, or move it away"
            );
            return Err(Error::file(folder, message));
        }
        names.push(name);
    }
    Ok(names)
}

/// The model with the adapters of a folder.
///
/// # Errors
/// Names the file, and every key or tensor that does not fit.
pub(crate) fn load<M: Adaptable>(model: &M, folder: &Path) -> Result<M> {
    refuse_second(model)?;
    let (path, tensors) = (folder.join(CONFIG), folder.join(TENSORS));
    if !path.is_file() {
        return Err(Error::file(folder, format!("not an adapter folder: {CONFIG} is missing")));
    }
    let text = fs::read(&path).map_err(|error| Error::file(&path, error))?;
    let config: Map<String, Value> = serde_json::from_slice(&text)
        .map_err(|error| Error::file(&path, format!("not a JSON object: {error}")))?;
    let (lora, facts) = (config_file::read(&path, &config)?, model.facts());
    let problems = of_tied(&lora, &facts);
    if !problems.is_empty() {
        return Err(Error::file(&path, numbered("this adapter cannot be loaded", &problems)));
    }
    if !tensors.is_file() {
        let mend = if folder.join(PICKLED).is_file() {
            format!(
                "; `{PICKLED}` is not read: load the adapter in Python and save it with save_pretrained(…, safe_serialization=True)"
            )
        } else {
            String::new()
        };
        return Err(Error::file(tensors, format!("the adapter's tensors are missing{mend}")));
    }
    let mut stored: BTreeMap<String, Stored> = BTreeMap::new();
    for (name, tensor) in read_file(&tensors)? {
        let Some(name) = name.strip_prefix(PREFIX) else {
            let message = format!("`{name}` is not a tensor of an adapter: names begin with `{PREFIX}`");
            return Err(Error::file(tensors, message));
        };
        stored.insert(format!("{}{name}", facts.prefix), tensor);
    }
    let base = Base::freeze(model.all_parameters())?;
    let adapted = attach(model, Attach::new(lora, facts.usual, Source::Stored(stored), base), &tensors)?;
    refuse_another_base(&folder.join(BASE), required(&adapted)?)?;
    Ok(adapted)
}

/// Refuses a base whose weights are not those that the adapter was trained on, if brew wrote which these were, and if both
/// have the same dtype: rounded weights have another hash.
fn refuse_another_base(path: &Path, attached: &Attached) -> Result<()> {
    if !path.is_file() {
        return Ok(());
    }
    let text = fs::read(path).map_err(|error| Error::file(path, error))?;
    let then: BaseFile = serde_json::from_slice(&text).map_err(|error| Error::file(path, error))?;
    let now = BaseFile::of(attached)?;
    if then.dtype == now.dtype && then != now {
        return Err(Error::file(
            path,
            "this adapter was trained on another base: names and shapes are the same, but the weights of this model differ from those. Load the base that it was trained on",
        ));
    }
    Ok(())
}
