//! Normalizes the names of a checkpoint's tensors, whatever their prefixes.
//!
//! A checkpoint of only the encoder lacks the architecture's prefix. One that was saved from within another
//! module has that module's prefix: `module.` from data-parallel training, `model.` from a wrapper,
//! `0.auto_model.` from sentence-transformers. The encoder is located by its word embeddings, which every
//! checkpoint has.

use std::collections::BTreeSet;

/// How an architecture's checkpoints are recognised. By default, names stay as they are.
#[derive(Debug, Default)]
pub(crate) struct Layout<'a> {
    /// The encoder's name in this architecture, without a dot; empty if nothing is changed.
    pub(crate) prefix: &'a str,
    /// The parts at the top level of a checkpoint that holds only the encoder, without its prefix.
    pub(crate) roots: &'a [&'a str],
    /// The tensor by which the encoder is located.
    pub(crate) anchor: &'a str,
}

/// transformers' names for encoders with embeddings of this name. If one of them is found instead of the
/// expected one, the checkpoint's architecture differs from the config's.
const ENCODERS: [&str; 14] = [
    "albert",
    "bert",
    "big_bird",
    "camembert",
    "data2vec_text",
    "deberta",
    "distilbert",
    "electra",
    "ernie",
    "longformer",
    "mobilebert",
    "mpnet",
    "roberta",
    "xlm_roberta",
];

/// Maps the names in a checkpoint to those that brew uses.
#[derive(Debug)]
pub(super) struct Names<'a> {
    /// The encoder's name in this architecture.
    encoder: &'a str,
    /// The parts of the encoder.
    roots: &'a [&'a str],
    /// The prefix found before the encoder's parts; empty if it is the expected name, or nothing.
    found: String,
}

impl<'a> Names<'a> {
    /// Locates the encoder among the names of a checkpoint.
    ///
    /// # Errors
    /// Several encoders, or one of a different architecture.
    pub(super) fn of<'n>(names: impl Iterator<Item = &'n str>, layout: &Layout<'a>) -> Result<Self, String> {
        let Layout { prefix: encoder, roots, anchor } = *layout;
        let usual = Names { encoder, roots, found: String::new() };
        let before = names.filter_map(|name| name.strip_suffix(anchor));
        let before: BTreeSet<&str> =
            before.filter(|start| start.is_empty() || start.ends_with('.')).collect();
        if encoder.is_empty() || before.contains("") || before.contains(format!("{encoder}.").as_str()) {
            return Ok(usual);
        }
        let mut before = before.into_iter();
        match (before.next(), before.next()) {
            (None, _) => Ok(usual),
            (Some(found), None) => {
                let own = found.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
                if own != encoder && ENCODERS.contains(&own) {
                    return Err(format!(
                        "the names of its tensors begin with `{found}`, but those of the config's model_type begin with \
                         `{encoder}.`: put the config.json that belongs to these weights beside them"
                    ));
                }
                Ok(Names { found: found.to_owned(), ..usual })
            }
            (Some(first), Some(second)) => Err(format!(
                "it holds several encoders, whose names begin with `{first}` and `{second}`: save only the one that you \
                 want"
            )),
        }
    }

    /// brew's name for a tensor.
    pub(super) fn common(&self, name: &str) -> String {
        let name = self.without_wrapper(name);
        match name.rsplit_once('.') {
            Some((norm, "gamma")) => format!("{norm}.weight"),
            Some((norm, "beta")) => format!("{norm}.bias"),
            _ => name,
        }
    }

    fn without_wrapper(&self, name: &str) -> String {
        let in_encoder = |name: &str| {
            let root = name.split('.').next();
            self.roots.iter().any(|known| root == Some(known)).then(|| format!("{}.{name}", self.encoder))
        };
        if self.found.is_empty() {
            return in_encoder(name).unwrap_or_else(|| name.to_owned());
        }
        if let Some(inside) = name.strip_prefix(self.found.as_str()).and_then(in_encoder) {
            return inside;
        }
        // A module that wraps the encoder also wraps its head: `module.bert.` and `module.classifier.`.
        let wrapper = self.found.strip_suffix(&format!("{}.", self.encoder)).unwrap_or(&self.found);
        name.strip_prefix(wrapper).unwrap_or(name).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{Layout, Names};

    const BERT: Layout<'_> = Layout {
        prefix: "bert",
        roots: &["embeddings", "encoder", "pooler"],
        anchor: "embeddings.word_embeddings.weight",
    };

    fn common(names: &[&str]) -> Result<Vec<String>, String> {
        let found = Names::of(names.iter().copied(), &BERT)?;
        Ok(names.iter().map(|name| found.common(name)).collect())
    }

    // PyTorch names the parameters of a nested module by the attribute and a dot.
    #[test]
    fn an_encoder_and_its_head_are_found_behind_any_prefix() {
        let whole = ["embeddings.word_embeddings.weight", "encoder.layer.0.output.LayerNorm.gamma"];
        for (encoder, head) in [
            ("bert.", "classifier.weight"),
            ("", "classifier.weight"),
            ("module.bert.", "module.classifier.weight"),
            ("module.", "module.classifier.weight"),
            ("_orig_mod.module.bert.", "_orig_mod.module.classifier.weight"),
            ("model.", "classifier.weight"),
            ("encoder.", "classifier.weight"),
            ("0.auto_model.", "classifier.weight"),
            ("bert.bert.", "bert.classifier.weight"),
        ] {
            let names = [format!("{encoder}{}", whole[0]), format!("{encoder}{}", whole[1]), head.to_owned()];
            let names = [names[0].as_str(), names[1].as_str(), names[2].as_str()];
            let wanted = [
                "bert.embeddings.word_embeddings.weight",
                "bert.encoder.layer.0.output.LayerNorm.weight",
                "classifier.weight",
            ];
            assert_eq!(common(&names).unwrap(), wanted, "{encoder}");
        }
    }

    #[test]
    fn several_encoders_and_another_architecture_are_refused_by_their_prefixes() {
        let several = ["a.embeddings.word_embeddings.weight", "b.embeddings.word_embeddings.weight"];
        let message = common(&several).unwrap_err();
        assert!(message.contains("several encoders") && message.contains("`a.` and `b.`"), "{message}");
        for other in ["roberta.", "module.electra."] {
            let name = format!("{other}embeddings.word_embeddings.weight");
            let message = common(&[&name]).unwrap_err();
            assert!(
                message.contains(&format!("begin with `{other}`")) && message.contains("`bert.`"),
                "{message}"
            );
        }
        // If one of them has the usual name, it is used.
        let both = ["bert.embeddings.word_embeddings.weight", "teacher.embeddings.word_embeddings.weight"];
        assert_eq!(common(&both).unwrap(), both);
    }
}
