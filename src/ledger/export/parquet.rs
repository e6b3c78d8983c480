//! The table of [`super::csv`] as Parquet, compressed with zstd: texts are strings, counts 64-bit integers, times
//! doubles in milliseconds; `time` is a timestamp in microseconds (UTC). Texts stand as they are.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::Type;

use super::super::Error;
use super::super::filter::Filter;
use super::super::line::Line;
use super::super::scan::{Scanned, scan};
use super::super::tally::signed;
use super::csv::{COLUMNS, Value, values};

/// Rows that are held in memory at a time.
const GROUP: usize = 50_000;

/// A column of a group of rows.
enum Column {
    Time(Vec<i64>),
    Text(Vec<ByteArray>),
    Count(Vec<i64>),
    Millis(Vec<f64>),
    /// Values, and whether each row has one.
    Flag(Vec<bool>, Vec<i16>),
}

/// Writes the record.
pub(super) fn export(log: &Path, filter: &Filter, out: &mut (dyn Write + Send)) -> Result<Scanned, Error> {
    // Which kind of value a column holds does not depend on the call.
    let mut columns = values(&Line::default()).map(|value| Column::of(&value));
    columns[0] = Column::Time(Vec::new());
    let schema = Arc::new(schema(&columns).map_err(refused)?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(concat!("countersign ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(refused)?;
    let mut held = 0;
    let mut flush = |columns: &mut [Column; COLUMNS.len()]| -> Result<(), Error> {
        let mut group = file.next_row_group().map_err(refused)?;
        for column in &mut *columns {
            column.write(&mut group).map_err(refused)?;
        }
        group.close().map_err(refused)?;
        Ok(())
    };
    let scanned = scan(log, filter, |line, _| {
        for (column, value) in columns.iter_mut().zip(values(line)) {
            column.add(&value);
        }
        // The first column is the time, which the table has as text.
        if let Column::Time(times) = &mut columns[0] {
            times.push(line.time().unwrap_or_default());
        }
        held += 1;
        if held == GROUP {
            held = 0;
            flush(&mut columns)?;
        }
        Ok(())
    })?;
    if held > 0 {
        flush(&mut columns)?;
    }
    file.close().map_err(refused)?;
    Ok(scanned)
}

fn refused(error: ParquetError) -> Error {
    Error::Output(match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => *error,
            Err(error) => std::io::Error::other(error),
        },
        error => std::io::Error::other(error),
    })
}

fn schema(columns: &[Column; COLUMNS.len()]) -> Result<Type, ParquetError> {
    let mut fields = Vec::new();
    for (name, column) in COLUMNS.into_iter().zip(columns) {
        let (physical, logical, repetition) = match column {
            Column::Time(_) => {
                let unit = TimeUnit::MICROS;
                (Physical::INT64, Some(LogicalType::timestamp(true, unit)), Repetition::REQUIRED)
            }
            Column::Text(_) => (Physical::BYTE_ARRAY, Some(LogicalType::String), Repetition::REQUIRED),
            Column::Count(_) => (Physical::INT64, None, Repetition::REQUIRED),
            Column::Millis(_) => (Physical::DOUBLE, None, Repetition::REQUIRED),
            Column::Flag(..) => (Physical::BOOLEAN, None, Repetition::OPTIONAL),
        };
        let field = Type::primitive_type_builder(name, physical);
        fields.push(Arc::new(field.with_logical_type(logical).with_repetition(repetition).build()?));
    }
    Type::group_type_builder("call").with_fields(fields).build()
}

impl Column {
    fn of(value: &Value<'_>) -> Self {
        match value {
            Value::Text(_) => Self::Text(Vec::new()),
            Value::Count(_) => Self::Count(Vec::new()),
            Value::Millis(_) => Self::Millis(Vec::new()),
            Value::Flag(_) => Self::Flag(Vec::new(), Vec::new()),
        }
    }

    fn add(&mut self, value: &Value<'_>) {
        match (self, value) {
            (Self::Text(texts), Value::Text(text)) => texts.push(ByteArray::from(text.as_bytes().to_vec())),
            (Self::Count(counts), Value::Count(count)) => counts.push(signed(*count)),
            (Self::Millis(times), Value::Millis(time)) => times.push(*time),
            (Self::Flag(flags, levels), Value::Flag(flag)) => {
                flags.extend(*flag);
                levels.push(flag.is_some().into());
            }
            _ => {}
        }
    }

    /// Writes the column and empties it.
    fn write<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        let Some(mut column) = group.next_column()? else { return Ok(()) };
        match self {
            Self::Time(values) | Self::Count(values) => {
                column.typed::<Int64Type>().write_batch(values, None, None)?;
                values.clear();
            }
            Self::Text(values) => {
                column.typed::<ByteArrayType>().write_batch(values, None, None)?;
                values.clear();
            }
            Self::Millis(values) => {
                column.typed::<DoubleType>().write_batch(values, None, None)?;
                values.clear();
            }
            Self::Flag(values, levels) => {
                column.typed::<BoolType>().write_batch(values, Some(levels), None)?;
                (*values, *levels) = (Vec::new(), Vec::new());
            }
        }
        column.close()
    }
}
