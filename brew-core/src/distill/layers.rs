//! Choosing layers: one, two or any number, of the teacher, of one of several teachers, or of the student.

use crate::loss::{ManyLayers, OneLayer, TwoLayers};

/// Chosen layers of a teacher: indices into its adaptor's list, from the end if negative.
#[derive(Debug, Clone, Copy)]
pub struct TeacherLayer<L>(L);
/// One of several teachers: see [`teacher`].
#[derive(Debug, Clone, Copy)]
pub struct OneTeacher(usize);
/// Chosen layers of one of several teachers.
#[derive(Debug, Clone, Copy)]
pub struct Of<L> {
    teacher: usize,
    layers: L,
}
/// Layers of the student.
#[derive(Debug, Clone, Copy)]
pub struct StudentLayer<L>(L);

/// A layer of the teacher: `teacher_layer(4)`, or two for losses that compare pairs: `teacher_layer([0, 4])`.
/// For hidden states, layer 0 is the embeddings.
pub fn teacher_layer<L: LayerChoice>(layer: L) -> TeacherLayer<L> {
    TeacherLayer(layer)
}

/// One of several teachers, counted from 0 in the order they were given: `hidden(teacher(1).layer(4),
/// student_layer(2)).by(HiddenMse)`.
pub fn teacher(index: usize) -> OneTeacher {
    OneTeacher(index)
}

impl OneTeacher {
    /// A layer of this teacher, or two, as in [`teacher_layer`].
    pub fn layer<L: LayerChoice<Whose = TheTeacher>>(self, layer: L) -> TeacherLayer<Of<L>> {
        TeacherLayer(Of { teacher: self.0, layers: layer })
    }
}

/// Layers of the student.
pub fn student_layer<L: LayerChoice>(layer: L) -> StudentLayer<L> {
    StudentLayer(layer)
}

/// Layers of the pipeline's only teacher.
#[derive(Debug)]
pub struct TheTeacher;
/// Layers of one of several teachers.
#[derive(Debug)]
pub struct OneOfThem;

/// One layer, two, or any number.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not choose layers",
    label = "not a layer",
    note = "a layer is an `i64`, such as `4`, or an array of two, such as `[0, 4]`, or a `Vec` of any number"
)]
pub trait LayerChoice {
    /// [`OneLayer`], [`TwoLayers`] or [`ManyLayers`].
    type Shape;
    /// [`TheTeacher`] or [`OneOfThem`].
    type Whose;
    /// The type of the corresponding choice of the student's layers.
    type Student: LayerChoice<Shape = Self::Shape>;
    /// The chosen teacher.
    fn teacher(&self) -> Option<usize> {
        None
    }
    /// The indices.
    fn indices(&self) -> Vec<i64>;
}

impl<L: LayerChoice> LayerChoice for Of<L> {
    type Shape = L::Shape;
    type Whose = OneOfThem;
    type Student = L::Student;
    fn teacher(&self) -> Option<usize> {
        Some(self.teacher)
    }
    fn indices(&self) -> Vec<i64> {
        self.layers.indices()
    }
}

impl LayerChoice for i64 {
    type Shape = OneLayer;
    type Whose = TheTeacher;
    type Student = i64;
    fn indices(&self) -> Vec<i64> {
        vec![*self]
    }
}

impl LayerChoice for [i64; 2] {
    type Shape = TwoLayers;
    type Whose = TheTeacher;
    type Student = [i64; 2];
    fn indices(&self) -> Vec<i64> {
        self.to_vec()
    }
}

impl LayerChoice for Vec<i64> {
    type Shape = ManyLayers;
    type Whose = TheTeacher;
    type Student = Vec<i64>;
    fn indices(&self) -> Vec<i64> {
        self.clone()
    }
}

/// The layers that a match compares.
#[derive(Debug)]
pub(crate) struct MatchedLayers {
    /// The index of the teacher, if there are several.
    pub(crate) of: Option<usize>,
    pub(crate) teacher: Vec<i64>,
    pub(crate) student: Vec<i64>,
}

impl MatchedLayers {
    /// Combines the chosen layers of both sides.
    pub(super) fn of<L: LayerChoice>(
        TeacherLayer(teacher): &TeacherLayer<L>,
        StudentLayer(student): &StudentLayer<L::Student>,
    ) -> Self {
        MatchedLayers { of: teacher.teacher(), teacher: teacher.indices(), student: student.indices() }
    }

    /// The default name of a match.
    pub(crate) fn name(&self, loss: &str) -> String {
        let of = self.of.map(|teacher| format!("teacher{teacher}_")).unwrap_or_default();
        format!("{loss}_{of}t{}_s{}", joined(&self.teacher), joined(&self.student))
    }
}

fn joined(layers: &[i64]) -> String {
    layers.iter().map(i64::to_string).collect::<Vec<_>>().join("-")
}
