//! Reads entities from the tags of a text's tokens, such as `B-person`, `I-person` and `O`.
//!
//! There are two modes, both as in seqeval 1.2.2. The lenient one, its default, is that of the CoNLL-2000
//! script `conlleval`: it accepts every scheme below, and a tag that does not continue an entity begins one.
//! The strict one (`mode="strict"`) counts only entities that are complete by the rules of one [`Scheme`].

use crate::error::{Error, Result};
use crate::words::numbered;

/// An entity of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entity<'t> {
    /// Its kind: the tag without its prefix.
    pub kind: &'t str,
    /// Its first token, from 0.
    pub first: usize,
    /// Its last token, from 0.
    pub last: usize,
}

/// A tagging scheme. `O` marks tokens outside of entities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `I-` throughout; `B-` only if an entity follows directly after one of the same kind.
    Iob1,
    /// `B-` begins an entity, `I-` continues it. Also called BIO.
    Iob2,
    /// `I-` throughout, `E-` for the last token of every entity.
    Ioe2,
    /// `B-` begins an entity, `I-` continues it, `E-` ends it; `S-` is a single-token entity. Also called
    /// BIOES.
    Iobes,
}

/// The position of a token in an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Outside,
    Begin,
    Inside,
    End,
    Single,
}

/// A parsed tag.
#[derive(Debug, Clone, Copy)]
struct Tag<'t> {
    prefix: Prefix,
    /// Empty outside of entities.
    kind: &'t str,
}

const OUTSIDE: Tag<'static> = Tag { prefix: Prefix::Outside, kind: "" };

/// Splits `B-person` into its prefix and its kind; `None` if it is not a tag.
fn parse(tag: &str) -> Option<Tag<'_>> {
    if tag == "O" {
        return Some(OUTSIDE);
    }
    let (prefix, kind) = tag.split_once('-').filter(|(_, kind)| !kind.is_empty())?;
    let prefix = match prefix {
        "B" => Prefix::Begin,
        "I" => Prefix::Inside,
        "E" => Prefix::End,
        "S" => Prefix::Single,
        _ => return None,
    };
    Some(Tag { prefix, kind })
}

/// Why a tag is invalid in this scheme or, without one, in every scheme.
pub(super) fn problem(tag: &str, scheme: Option<Scheme>) -> Option<String> {
    let allowed = |prefix| scheme.is_none_or(|scheme| scheme.has(prefix));
    match (parse(tag), scheme) {
        (Some(tag), _) if allowed(tag.prefix) => None,
        (_, None) => Some(format!("`{tag}` is not `O`, `B-kind`, `I-kind`, `E-kind` or `S-kind`")),
        (_, Some(scheme)) => Some(format!("`{tag}` is not {}", scheme.tags())),
    }
}

/// Parses all tags of a text.
fn parsed<'t>(tags: &[&'t str], scheme: Option<Scheme>) -> Result<Vec<Tag<'t>>> {
    let problems: Vec<String> = (tags.iter().enumerate())
        .filter_map(|(place, tag)| Some(format!("token {place}: {}", problem(tag, scheme)?)))
        .collect();
    if !problems.is_empty() {
        return Err(Error::invalid(numbered("the tags of a text cannot be read", &problems)));
    }
    Ok(tags.iter().filter_map(|tag| parse(tag)).collect())
}

/// The entities of a text by its tokens' tags, read leniently: `E-` and `S-` end an entity, and any tag that
/// does not continue the previous one begins a new entity.
///
/// ```
/// use brew_core::observe::{Entity, Scheme, entities};
///
/// let tags = ["B-person", "E-person", "O", "I-place"];
/// let found = [Entity { kind: "person", first: 0, last: 1 }, Entity { kind: "place", first: 3, last: 3 }];
/// assert_eq!(entities(&tags)?, found);
/// assert_eq!(Scheme::Iobes.entities(&tags)?, found[..1]);
/// # Ok::<(), brew_core::Error>(())
/// ```
///
/// # Errors
/// Lists the tags that are not `O`, `B-…`, `I-…`, `E-…` or `S-…`.
pub fn entities<'t>(tags: &[&'t str]) -> Result<Vec<Entity<'t>>> {
    let mut entities: Vec<Entity<'t>> = Vec::new();
    let mut before = OUTSIDE;
    for (place, tag) in parsed(tags, None)?.into_iter().enumerate() {
        let continues = matches!(before.prefix, Prefix::Begin | Prefix::Inside)
            && matches!(tag.prefix, Prefix::Inside | Prefix::End)
            && before.kind == tag.kind;
        match entities.last_mut() {
            Some(open) if continues => open.last = place,
            _ if tag.prefix == Prefix::Outside => {}
            _ => entities.push(Entity { kind: tag.kind, first: place, last: place }),
        }
        before = tag;
    }
    Ok(entities)
}

impl Scheme {
    /// The scheme's tags, for messages.
    fn tags(self) -> &'static str {
        match self {
            Scheme::Iob1 | Scheme::Iob2 => "`O`, `B-kind` or `I-kind`",
            Scheme::Ioe2 => "`O`, `I-kind` or `E-kind`",
            Scheme::Iobes => "`O`, `B-kind`, `I-kind`, `E-kind` or `S-kind`",
        }
    }

    fn has(self, prefix: Prefix) -> bool {
        match prefix {
            Prefix::Outside | Prefix::Inside => true,
            Prefix::Begin => self != Scheme::Ioe2,
            Prefix::End => matches!(self, Scheme::Ioe2 | Scheme::Iobes),
            Prefix::Single => self == Scheme::Iobes,
        }
    }

    /// Whether this tag begins an entity after that one.
    fn starts(self, before: Tag<'_>, tag: Tag<'_>) -> bool {
        use Prefix::{Begin, End, Inside, Outside, Single};
        let same = before.kind == tag.kind;
        match (self, before.prefix, tag.prefix) {
            (Scheme::Iob1, Outside | Begin, Inside) => true,
            (Scheme::Iob1, Inside, Inside) => !same,
            (Scheme::Iob1, Inside | Begin, Begin) => same,
            (Scheme::Iob2, _, Begin) => true,
            (Scheme::Ioe2, Outside | End, Inside | End) => true,
            (Scheme::Ioe2, Inside, Inside | End) => !same,
            (Scheme::Iobes, _, Begin | Single) => true,
            _ => false,
        }
    }

    /// Whether this tag continues the entity of the tag before.
    fn continues(self, before: Tag<'_>, tag: Tag<'_>) -> bool {
        use Prefix::{Begin, End, Inside};
        let places = match self {
            Scheme::Iob1 | Scheme::Iob2 => matches!((before.prefix, tag.prefix), (Begin | Inside, Inside)),
            Scheme::Ioe2 => matches!((before.prefix, tag.prefix), (Inside, Inside | End)),
            Scheme::Iobes => matches!((before.prefix, tag.prefix), (Begin | Inside, Inside | End)),
        };
        places && before.kind == tag.kind
    }

    /// Whether the entity of the tag before is complete when this tag follows it.
    fn ends(self, before: Tag<'_>, tag: Tag<'_>) -> bool {
        use Prefix::{Begin, End, Inside, Outside, Single};
        let same = before.kind == tag.kind;
        match (self, before.prefix, tag.prefix) {
            (Scheme::Iob1 | Scheme::Iob2, Inside | Begin, Outside) => true,
            (Scheme::Iob1 | Scheme::Iob2, Inside | Begin, Inside) => !same,
            (Scheme::Iob1 | Scheme::Iob2, Inside, Begin) => true,
            (Scheme::Iob1, Begin, Begin) => same,
            (Scheme::Iob2, Begin, Begin) => true,
            (Scheme::Ioe2, End, _) => true,
            (Scheme::Iobes, End | Single, _) => true,
            _ => false,
        }
    }

    /// The entities of a text, read strictly: those that begin, continue and end by the rules of the scheme.
    ///
    /// # Errors
    /// Lists the tags that are not in the scheme.
    pub fn entities<'t>(self, tags: &[&'t str]) -> Result<Vec<Entity<'t>>> {
        let mut tags = parsed(tags, Some(self))?;
        tags.push(OUTSIDE);
        let (mut entities, mut before, mut place) = (Vec::new(), OUTSIDE, 0);
        while place < tags.len() {
            let first = place;
            place += 1;
            if self.starts(before, tags[first]) {
                while place < tags.len() && self.continues(tags[place - 1], tags[place]) {
                    place += 1;
                }
                if place < tags.len() && self.ends(tags[place - 1], tags[place]) {
                    entities.push(Entity { kind: tags[first].kind, first, last: place - 1 });
                }
            }
            before = tags[place - 1];
        }
        Ok(entities)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::super::tags_f1::entity_f1;
    use super::{Entity, Scheme, entities};

    /// A case of `tests/fixtures/entities.json`; the script beside it made them with seqeval 1.2.2.
    #[derive(Deserialize)]
    struct Case {
        scheme: String,
        labels: Vec<Vec<String>>,
        predicted: Vec<Vec<String>>,
        lenient: Vec<Vec<(String, usize, usize)>>,
        strict: Vec<Vec<(String, usize, usize)>>,
        lenient_f1: f64,
        strict_f1: f64,
    }

    fn cases() -> Vec<(Scheme, Case)> {
        let cases: Vec<Case> =
            serde_json::from_str(include_str!("../../../tests/fixtures/entities.json")).unwrap();
        let scheme = |name: &str| match name {
            "iob1" => Scheme::Iob1,
            "iob2" => Scheme::Iob2,
            "ioe2" => Scheme::Ioe2,
            "iobes" => Scheme::Iobes,
            other => unreachable!("no scheme `{other}`"),
        };
        cases.into_iter().map(|case| (scheme(&case.scheme), case)).collect()
    }

    fn borrowed(texts: &[Vec<String>]) -> Vec<Vec<&str>> {
        texts.iter().map(|tags| tags.iter().map(String::as_str).collect()).collect()
    }

    fn golden(entities: &[(String, usize, usize)]) -> Vec<Entity<'_>> {
        entities.iter().map(|(kind, first, last)| Entity { kind, first: *first, last: *last }).collect()
    }

    #[test]
    fn entities_and_f1_of_every_scheme_are_those_of_seqeval_lenient_and_strict() {
        let cases = cases();
        assert_eq!(cases.len(), 160);
        for (scheme, case) in cases {
            let (labels, predicted) = (borrowed(&case.labels), borrowed(&case.predicted));
            for ((tags, lenient), strict) in labels.iter().zip(&case.lenient).zip(&case.strict) {
                assert_eq!(entities(tags).unwrap(), golden(lenient), "{tags:?}");
                assert_eq!(scheme.entities(tags).unwrap(), golden(strict), "{scheme:?} {tags:?}");
            }
            let (lenient, strict) = (entity_f1(&predicted, &labels), scheme.entity_f1(&predicted, &labels));
            assert!((lenient.unwrap() - case.lenient_f1).abs() < 1e-15, "{labels:?} {predicted:?}");
            assert!((strict.unwrap() - case.strict_f1).abs() < 1e-15, "{scheme:?} {labels:?} {predicted:?}");
        }
    }

    // seqeval 1.2.2: f1_score([["O", "O"]], [["O", "O"]]) is 0 with a warning.
    #[test]
    fn f1_is_zero_where_there_are_no_entities() {
        assert_eq!(entity_f1(&[vec!["O", "O"]], &[vec!["O", "O"]]).unwrap(), 0.0);
    }

    // seqeval counts `X-a` as an entity with a warning, and refuses tags that a strict scheme lacks.
    #[test]
    fn tags_that_cannot_be_read_are_refused_by_text_and_token() {
        let error = entity_f1(&[vec!["O"], vec!["O", "X-a"]], &[vec!["O"], vec!["O", "B-"]]).unwrap_err();
        assert!(
            error.to_string().contains("text 1") && error.to_string().contains("token 1: `X-a`"),
            "{error}"
        );
        let error = Scheme::Iob2.entities(&["B-a", "S-a"]).unwrap_err().to_string();
        assert!(error.contains("token 1: `S-a` is not `O`, `B-kind` or `I-kind`"), "{error}");
    }
}
