//! SQuAD's JSON: articles of paragraphs of questions, as one row per question.
//!
//! The document is `{"data": [{"title", "paragraphs": [{"context", "qas": [{"id", "question",
//! "answers": [{"text", "answer_start"}]}]}]}]}`, in versions 1.1 and 2.0 (where a question without
//! an answer has an empty list). One article is in memory at a time.

use std::fmt;
use std::io::BufRead;
use std::sync::Arc;

use arrow::array::builder::{Int64Builder, ListBuilder, StringBuilder};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::{Chunk, Emit, ParseError};

#[derive(Deserialize)]
struct Article {
    #[serde(default)]
    title: String,
    paragraphs: Vec<Paragraph>,
}

#[derive(Deserialize)]
struct Paragraph {
    context: String,
    qas: Vec<Question>,
}

#[derive(Deserialize)]
struct Question {
    id: String,
    question: String,
    #[serde(default)]
    answers: Vec<SquadAnswer>,
}

#[derive(Deserialize)]
struct SquadAnswer {
    text: String,
    answer_start: i64,
}

/// The columns, named as Python's `datasets` names them.
pub(crate) fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, false);
    let list = |name, item| Field::new(name, DataType::new_list(item, true), false);
    Arc::new(Schema::new(vec![
        text("id"),
        text("title"),
        text("context"),
        text("question"),
        list("answers.text", DataType::Utf8),
        list("answers.answer_start", DataType::Int64),
    ]))
}

/// Reads every question.
///
/// # Errors
/// There is no question, or the JSON is truncated or has another form, by line and byte.
pub(crate) fn read(reader: impl BufRead, emit: &mut Emit<'_>) -> Result<(), ParseError> {
    let mut rows = QuestionRows::new(emit);
    let mut json = serde_json::Deserializer::from_reader(reader);
    let outcome = json.deserialize_map(Document(&mut rows)).and_then(|()| json.end());
    if let Some(problem) = rows.problem.take() {
        return Err(problem);
    }
    outcome.map_err(|error| match error.io_error_kind() {
        Some(kind) => ParseError::Io(kind.into()),
        None => {
            // The error already names the position.
            let (message, place) =
                (error.to_string(), format!(" at line {} column {}", error.line(), error.column()));
            let message = message.strip_suffix(&place).unwrap_or(&message);
            ParseError::line(
                error.line(),
                format!("not SQuAD's JSON from byte {} of the line: {message}", error.column()),
            )
        }
    })?;
    rows.finish()
}

/// Rows under construction.
struct QuestionRows<'a, 'e> {
    emit: &'a mut Emit<'e>,
    /// id, title, context, question.
    texts: [StringBuilder; 4],
    answers: ListBuilder<StringBuilder>,
    starts: ListBuilder<Int64Builder>,
    chunk: Chunk,
    /// Why reading stopped, if not because of the JSON.
    problem: Option<ParseError>,
}

impl<'a, 'e> QuestionRows<'a, 'e> {
    fn new(emit: &'a mut Emit<'e>) -> Self {
        QuestionRows {
            emit,
            texts: Default::default(),
            answers: ListBuilder::new(StringBuilder::new()),
            starts: ListBuilder::new(Int64Builder::new()),
            chunk: Chunk::default(),
            problem: None,
        }
    }

    fn article(&mut self, article: &Article) -> Result<(), ParseError> {
        for paragraph in &article.paragraphs {
            for question in &paragraph.qas {
                let texts = [&question.id, &article.title, &paragraph.context, &question.question];
                for (values, text) in self.texts.iter_mut().zip(texts) {
                    values.append_value(text);
                }
                for answer in &question.answers {
                    self.answers.values().append_value(&answer.text);
                    self.starts.values().append_value(answer.answer_start);
                }
                self.answers.append(true);
                self.starts.append(true);
                if self.chunk.add(texts.iter().map(|text| text.len()).sum()) {
                    self.emit()?;
                }
            }
        }
        Ok(())
    }

    fn emit(&mut self) -> Result<(), ParseError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(6);
        columns.extend(self.texts.iter_mut().map(|values| Arc::new(values.finish()) as ArrayRef));
        columns.push(Arc::new(self.answers.finish()));
        columns.push(Arc::new(self.starts.finish()));
        self.chunk.emitted();
        let batch = RecordBatch::try_new(schema(), columns);
        (self.emit)(batch.map_err(|error| ParseError::Text(error.to_string()))?)
    }

    fn finish(mut self) -> Result<(), ParseError> {
        if self.chunk.is_left()? { self.emit() } else { Ok(()) }
    }
}

/// The whole document: reads `data`, skips the rest.
struct Document<'r, 'a, 'e>(&'r mut QuestionRows<'a, 'e>);

impl<'de> Visitor<'de> for Document<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with a list `data` of articles")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut found = false;
        while let Some(key) = map.next_key::<String>()? {
            match (key.as_str(), found) {
                ("data", true) => return Err(A::Error::duplicate_field("data")),
                ("data", false) => map.next_value_seed(Articles(self.0))?,
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
            found |= key == "data";
        }
        if found { Ok(()) } else { Err(A::Error::missing_field("data")) }
    }
}

/// The list of articles, one at a time.
struct Articles<'r, 'a, 'e>(&'r mut QuestionRows<'a, 'e>);

impl<'de> DeserializeSeed<'de> for Articles<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Articles<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of articles")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut articles: A) -> Result<(), A::Error> {
        while let Some(article) = articles.next_element()? {
            if let Err(problem) = self.0.article(&article) {
                self.0.problem = Some(problem);
                return Err(A::Error::custom("reading was stopped"));
            }
        }
        Ok(())
    }
}
