//! The classes of a teacher that is trained already, beside those of the data.

use std::collections::BTreeSet;

use super::classes::listed;
use super::words::{Labelled, Words};

/// The classes of a teacher that is trained already.
#[derive(Debug, Clone)]
pub struct TeacherClasses {
    /// Their number.
    pub outputs: usize,
    /// Their names in order, if it names them.
    pub names: Option<Vec<String>>,
}

/// The teacher's classes, which must be those of the data.
pub(super) fn of_teacher(teacher: &TeacherClasses, parts: [&mut Labelled; 2]) -> Result<Vec<String>, String> {
    let numbers = || (0..teacher.outputs).map(|number| number.to_string()).collect();
    let classes: Vec<String> = teacher.names.clone().unwrap_or_else(numbers);
    for part in parts {
        match (&part.names, &teacher.names) {
            _ if part.digits => part.words = named(&part.words, &classes)?,
            (Some(own), Some(names)) if own == names => {}
            (Some(own), Some(names)) if sorted(own) == sorted(names) => {
                return Err(format!(
                    "the data's classes are {}, in this order, and the teacher's are {}: their numbers mean different classes. If the names are right, write the labels as words: words are matched by name",
                    listed(own),
                    listed(names)
                ));
            }
            (Some(own), Some(names)) => {
                return Err(format!(
                    "the data's classes are {}, and the teacher's are {}: give a teacher of the same classes",
                    listed(own),
                    listed(names)
                ));
            }
            (Some(own), None) if own.len() == teacher.outputs => return Ok(own.clone()),
            (Some(own), None) => {
                return Err(format!(
                    "the data has {} classes, and the teacher {}: give a teacher of the same classes",
                    own.len(),
                    teacher.outputs
                ));
            }
            (None, Some(names)) => {
                let known: BTreeSet<&String> = names.iter().collect();
                let unknown: BTreeSet<&String> =
                    part.words.all().into_iter().filter(|word| !known.contains(word)).collect();
                if !unknown.is_empty() {
                    return Err(format!(
                        "there are rows with the labels {}, and the teacher's classes are {}: give a teacher of the same classes",
                        listed(unknown),
                        listed(names)
                    ));
                }
            }
            (None, None) => {
                return Err(
                    "its labels are words, and the teacher does not name its classes, so that words cannot be matched: write the class numbers, or put the names into `id2label` of the teacher's config.json".to_owned(),
                );
            }
        }
    }
    Ok(classes)
}

/// Class numbers as the names of their classes.
fn named(words: &Words, classes: &[String]) -> Result<Words, String> {
    let name = |word: &String| {
        let place = word.parse::<usize>().ok();
        place.and_then(|place| classes.get(place)).cloned().ok_or_else(|| {
            format!("there are rows with the class number {word}, and the teacher has {} classes, numbered from 0", classes.len())
        })
    };
    Ok(match words {
        Words::One(words) => Words::One(words.iter().map(name).collect::<Result<_, _>>()?),
        Words::Several(rows) => {
            Words::Several(rows.iter().map(|row| row.iter().map(name).collect()).collect::<Result<_, _>>()?)
        }
        Words::Number => Words::Number,
    })
}

fn sorted(names: &[String]) -> Vec<&String> {
    let mut names: Vec<_> = names.iter().collect();
    names.sort();
    names
}
