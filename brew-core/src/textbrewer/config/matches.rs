//! An intermediate match in a config: layers, feature, loss, weight and projection.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::LossConfig;
use super::fields::{Fields, Readable};
use super::registry::{Registry, layers_problem};
use crate::plan::OptimizerChanges;

/// A loss between layers of teacher and student, in TextBrewer's format: `{"layer_T": 4, "layer_S": 2,
/// "feature": "hidden", "loss": "hidden_mse", "weight": 1}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IntermediateMatch {
    /// Layers of the teacher: indices into its adaptor's list, from the end if negative.
    #[serde(rename = "layer_T")]
    pub layer_t: Layers,
    /// Layers of the student, as many as of the teacher.
    #[serde(rename = "layer_S")]
    pub layer_s: Layers,
    /// The role: `hidden`, `attention`, or one in the registry.
    pub feature: String,
    /// The loss, from the registry or the [catalogue](crate::loss::catalogue).
    pub loss: LossConfig,
    /// Its weight in the sum; default 1.
    pub weight: f64,
    /// The teacher, counted from 0, if there are several. TextBrewer's ensembles do not match layers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher: Option<u64>,
    /// The schedule of the weight, by name. TextBrewer has no schedules for matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_scheduler: Option<String>,
    /// The projection of the student's features to the teacher's width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proj: Option<ProjectionConfig>,
}

/// One layer, two for losses that compare the relation between two layers, or any number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Layers {
    /// `4`.
    One(i64),
    /// `[0, 4]`.
    Two([i64; 2]),
    /// `[1, 2, 3]`: a list of any other length.
    Many(Vec<i64>),
}

/// A learned projection in TextBrewer's format: `["linear", 312, 768, {"lr": 1e-3}]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionConfig {
    /// The name in the registry: `linear`, `relu`, `tanh`.
    pub name: String,
    /// The width of the student's features.
    pub student: i64,
    /// The width of the teacher's features.
    pub teacher: i64,
    /// This projection's own optimizer settings: `lr`, `betas`, `eps`, `weight_decay`.
    pub optimizer: OptimizerChanges,
    /// The name under which several matches share it: `["linear", 312, 768, {"shared": "body"}]`.
    /// TextBrewer's projections are not shared.
    pub shared: Option<String>,
}

impl Layers {
    /// The indices.
    pub fn indices(&self) -> Vec<i64> {
        match self {
            Layers::One(layer) => vec![*layer],
            Layers::Two(layers) => layers.to_vec(),
            Layers::Many(layers) => layers.clone(),
        }
    }
}

impl Readable for Layers {
    const MUST_BE: &'static str = "a layer, such as 4, or a list of them, such as [0, 4]";
    fn read(value: &Value) -> Option<Self> {
        match value.as_array().map(Vec::as_slice) {
            None => value.as_i64().map(Layers::One),
            Some([first, second]) => Some(Layers::Two([first.as_i64()?, second.as_i64()?])),
            Some(layers) => Some(Layers::Many(layers.iter().map(Value::as_i64).collect::<Option<_>>()?)),
        }
    }
}

impl ProjectionConfig {
    /// Reads a projection; `None` if its form is wrong.
    fn read(at: &str, value: Value, problems: &mut Vec<String>) -> Option<Self> {
        let (name, student, teacher, changes) = match value.as_array().map(Vec::as_slice) {
            Some([name, student, teacher]) => (name.as_str(), student.as_i64(), teacher.as_i64(), None),
            Some([name, student, teacher, changes]) => {
                (name.as_str(), student.as_i64(), teacher.as_i64(), Some(changes))
            }
            _ => (None, None, None, None),
        };
        let (Some(name), Some(student), Some(teacher)) = (name, student, teacher) else {
            problems.push(format!(
                "`{at}` is {value}; it must be [name, student width, teacher width], optionally followed by optimizer settings such as {{\"lr\": 0.001}}"
            ));
            return None;
        };
        let (mut optimizer, mut shared) = (OptimizerChanges::default(), None);
        if let Some(changes) = changes {
            let what = "a projection's settings";
            let mut fields = Fields::of(&format!("{at}[3]"), what, changes.clone(), problems);
            optimizer.learning_rate = fields.take("lr", None);
            optimizer.betas = fields.take("betas", None);
            optimizer.epsilon = fields.take("eps", None);
            optimizer.weight_decay = fields.take("weight_decay", None);
            shared = fields.take("shared", None);
            fields.finish();
        }
        Some(ProjectionConfig { name: name.to_owned(), student, teacher, optimizer, shared })
    }
}

impl Serialize for ProjectionConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let widths = (&self.name, self.student, self.teacher);
        let mut settings = json!(self.optimizer);
        if let (Value::Object(settings), Some(name)) = (&mut settings, &self.shared) {
            settings.insert("shared".to_owned(), json!(name));
        }
        match &settings {
            Value::Object(settings) if settings.is_empty() => widths.serialize(serializer),
            settings => json!([widths.0, widths.1, widths.2, settings]).serialize(serializer),
        }
    }
}

impl IntermediateMatch {
    /// Reads a match; `None` if something required is missing.
    pub(super) fn read(at: &str, value: Value, problems: &mut Vec<String>) -> Option<Self> {
        let mut fields = Fields::of(at, "a match", value, problems);
        let layer_t = fields.require("layer_T");
        let layer_s = fields.require("layer_S");
        let feature = fields.require("feature");
        let loss = fields.require("loss");
        let weight = fields.take("weight", 1.0);
        let teacher = fields.take("teacher", None);
        let weight_scheduler = fields.take("weight_scheduler", None);
        let proj: Option<Value> = fields.take("proj", None);
        fields.finish();
        let proj = match proj {
            Some(value) => Some(ProjectionConfig::read(&format!("{at}.proj"), value, problems)?),
            None => None,
        };
        Some(IntermediateMatch {
            layer_t: layer_t?,
            layer_s: layer_s?,
            feature: feature?,
            loss: loss?,
            weight,
            teacher,
            weight_scheduler,
            proj,
        })
    }

    /// The problems of names and values.
    pub(super) fn problems(&self, at: &str, registry: &Registry) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(registry.feature_problem(&format!("{at}.feature"), &self.feature));
        match registry.match_loss_of(&format!("{at}.loss"), &self.loss) {
            Ok((layers, _)) => {
                problems.extend(layers_problem(layers, at, &self.loss.name, &self.layer_t, &self.layer_s));
            }
            Err(found) => problems.extend(found),
        }
        if !self.weight.is_finite() {
            problems.push(format!("`{at}.weight` is {}; it must be finite", self.weight));
        }
        if let Some(schedule) = &self.weight_scheduler {
            problems.extend(registry.weight_schedule_of(&format!("{at}.weight_scheduler"), schedule).err());
        }
        if let Some(projection) = &self.proj {
            problems.extend(registry.activation_of(&format!("{at}.proj[0]"), &projection.name).err());
        }
        problems
    }
}
