//! The `Metrics` of an alarm: statistics and the expressions over them (SPEC section 8.5).

use crate::math::{self, Queries, QueryError, Rules};
use crate::metric::{Dimension, Metric, Period};

use super::{Comparison, MetricStat};

/// One element of `Metrics`.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricDataQuery {
    pub id: String,
    pub label: Option<String>,
    pub content: QueryContent,
    pub returns_data: bool,
    pub period: Option<Period>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum QueryContent {
    Stat(MetricStat),
    Expression(String),
}

/// Datapoints that are computed from those of several statistics.
#[derive(Clone, Debug)]
pub struct MathSource {
    queries: Vec<MetricDataQuery>,
    program: Queries,
    /// The query whose series is judged.
    observed: String,
    /// The query whose band it is compared with.
    band: Option<String>,
}

/// The expressions say it all.
impl PartialEq for MathSource {
    fn eq(&self, other: &Self) -> bool {
        (&self.queries, &self.observed, &self.band)
            == (&other.queries, &other.observed, &other.band)
    }
}

impl MathSource {
    /// Tells everything that is wrong with the expressions; nothing, and an error, where no query returns the data to judge.
    pub fn new(
        queries: Vec<MetricDataQuery>,
        comparison: &Comparison,
    ) -> Result<Self, Vec<QueryError>> {
        let mut errors = Vec::new();
        let mut sources = Vec::new();
        for MetricDataQuery { id, content, .. } in &queries {
            let source = match content {
                QueryContent::Stat(_) => math::Source::Metric,
                QueryContent::Expression(text) => match math::parse(text) {
                    Ok(expression) => math::Source::Expression(expression),
                    Err(error) => {
                        let id = id.clone();
                        errors.push(QueryError::Expression { id, error });
                        continue;
                    }
                },
            };
            sources.push((id.clone(), source));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let program = Queries::new(sources, Rules::Alarm)?;
        let band = match comparison {
            Comparison::Threshold { .. } => None,
            Comparison::Band {
                threshold_metric_id,
                ..
            } => Some(threshold_metric_id.clone()),
        };
        let is_observed =
            |query: &&MetricDataQuery| query.returns_data && Some(&query.id) != band.as_ref();
        let Some(observed) = queries
            .iter()
            .find(is_observed)
            .map(|query| query.id.clone())
        else {
            return Err(Vec::new());
        };
        program.check_result(&observed).map_err(|errors| {
            let of_observed = |error| QueryError::Expression {
                id: observed.clone(),
                error,
            };
            errors.into_iter().map(of_observed).collect::<Vec<_>>()
        })?;
        Ok(Self {
            queries,
            program,
            observed,
            band,
        })
    }

    pub fn queries(&self) -> &[MetricDataQuery] {
        &self.queries
    }

    /// The statistics that the expressions read, in the order in which they are declared.
    pub fn stats(&self) -> impl Iterator<Item = &MetricStat> {
        self.queries
            .iter()
            .filter_map(|query| match &query.content {
                QueryContent::Stat(stat) => Some(stat),
                QueryContent::Expression(_) => None,
            })
    }

    /// The same with other metrics, for which `replace` is asked; the first error ends it.
    pub fn with_metrics<E>(
        &self,
        mut replace: impl FnMut(&MetricStat) -> Result<MetricStat, E>,
    ) -> Result<Self, E> {
        let mut math = self.clone();
        for query in &mut math.queries {
            if let QueryContent::Stat(stat) = &mut query.content {
                *stat = replace(stat)?;
            }
        }
        Ok(math)
    }

    /// Whether what is judged changes with time alone.
    pub(super) fn uses_calendar(&self) -> bool {
        let (observed, band) = self.wanted();
        let mut wanted = std::iter::once(observed).chain(band);
        wanted.any(|id| self.program.uses_calendar(id))
    }

    pub(super) fn program(&self) -> &Queries {
        &self.program
    }

    /// The id of the query whose series is judged, and of the one whose band it is compared with.
    pub(super) fn wanted(&self) -> (&str, Option<&str>) {
        (&self.observed, self.band.as_deref())
    }

    /// The functions called, where a band around a result of metric math is asked for.
    pub(super) fn functions_with_band(&self) -> Option<Vec<&'static str>> {
        let band = self.band.as_ref()?;
        let is_math = |id: &str| {
            let query = self.queries.iter().find(|query| query.id == id);
            query.is_some_and(|query| matches!(query.content, QueryContent::Expression(_)))
        };
        let mut needed = self.program.needed_by(band).filter(|id| id != band);
        let around_math = is_math(&self.observed) || needed.any(is_math);
        around_math.then(|| self.program.function_names().collect())
    }

    /// Whether a band has to be supplied.
    pub(super) fn needs_band(&self) -> bool {
        self.band.is_some() || self.program.uses_band(&self.observed)
    }

    /// The first function that only CloudWatch can evaluate.
    pub(super) fn external(&self) -> Option<&'static str> {
        let (observed, band) = self.wanted();
        let mut wanted = std::iter::once(observed).chain(band);
        wanted.find_map(|id| self.program.external(id))
    }

    /// What the expressions need and only CloudWatch has.
    pub fn needs(&self) -> Option<String> {
        if let Some(function) = self.external() {
            return Some(format!("`{function}` can only be evaluated by CloudWatch"));
        }
        self.needs_band()
            .then(|| super::metric_alarm::NEEDS_MODEL.to_owned())
    }
}

/// The metrics by which the band of an alarm is supplied where there is a model: the lower and the upper bound. CloudWatch
/// allows no such namespace.
pub fn band_metrics(alarm: &str) -> [Metric; 2] {
    ["lower", "upper"]
        .map(|bound| Metric::new(":band", alarm, vec![Dimension::new("bound", bound)]))
}
