//! Choices of layers: one, two or any number, of the teacher, of one of several teachers, of the student.

use crate::loss::{ManyLayers, OneLayer, TwoLayers};

/// A layer of a teacher, or two of them: an index of its adaptor's list, from the end if negative.
#[derive(Debug, Clone, Copy)]
pub struct TeacherLayer<L>(L);
/// One of several teachers: see [`teacher`].
#[derive(Debug, Clone, Copy)]
pub struct OneTeacher(usize);
/// A choice of layers of one of several teachers.
#[derive(Debug, Clone, Copy)]
pub struct Of<L> {
    teacher: usize,
    layers: L,
}
/// A layer of the student, or two of them.
#[derive(Debug, Clone, Copy)]
pub struct StudentLayer<L>(L);

/// A layer of the teacher: `teacher_layer(4)`, or two for losses that compare pairs:
/// `teacher_layer([0, 4])`. Hidden states count from the embeddings, which are layer 0.
pub fn teacher_layer<L: LayerChoice>(layer: L) -> TeacherLayer<L> {
    TeacherLayer(layer)
}

/// One of several teachers, counted from 0 in the order in which they were joined:
/// `hidden(teacher(1).layer(4), student_layer(2)).by(HiddenMse)`.
pub fn teacher(index: usize) -> OneTeacher {
    OneTeacher(index)
}

impl OneTeacher {
    /// A layer of this teacher, or two of them, as [`teacher_layer`] takes them.
    pub fn layer<L: LayerChoice<Whose = TheTeacher>>(self, layer: L) -> TeacherLayer<Of<L>> {
        TeacherLayer(Of { teacher: self.0, layers: layer })
    }
}

/// A layer of the student, or two of them.
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
    /// How the student's layers beside them are chosen.
    type Student: LayerChoice<Shape = Self::Shape>;
    /// The teacher that was chosen with them.
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
pub(crate) struct Layers {
    /// Which of several teachers.
    pub(crate) of: Option<usize>,
    pub(crate) teacher: Vec<i64>,
    pub(crate) student: Vec<i64>,
}

impl Layers {
    /// The layers of these choices.
    pub(super) fn of<L: LayerChoice>(
        TeacherLayer(teacher): &TeacherLayer<L>,
        StudentLayer(student): &StudentLayer<L::Student>,
    ) -> Self {
        Layers { of: teacher.teacher(), teacher: teacher.indices(), student: student.indices() }
    }

    /// The name of a match that was given none.
    pub(crate) fn name(&self, loss: &str) -> String {
        let of = self.of.map(|teacher| format!("teacher{teacher}_")).unwrap_or_default();
        format!("{loss}_{of}t{}_s{}", joined(&self.teacher), joined(&self.student))
    }
}

fn joined(layers: &[i64]) -> String {
    layers.iter().map(i64::to_string).collect::<Vec<_>>().join("-")
}
