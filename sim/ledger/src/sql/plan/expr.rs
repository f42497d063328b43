//! Bound expressions: data only; `eval` gives them their value.

use super::query::Query;
use crate::data::{Modifier, Type, Value, cast::Context};
use crate::sql::function::Function;

/// An expression over one row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Expr {
    /// The result of an aggregate of the query. Only while a query is bound: grouping turns it into a column.
    Aggregate(usize),
    And(Box<Expr>, Box<Expr>),
    /// What the enclosing query gives to this subquery for each of its own rows.
    Arg(usize),
    Arithmetic {
        op: Arithmetic,
        ty: Type,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    /// `ARRAY[…]`.
    Array(Vec<Expr>),
    Call {
        function: &'static Function,
        args: Vec<Expr>,
    },
    /// `WHEN … THEN …` pairs and `ELSE`.
    Case {
        branches: Vec<(Expr, Expr)>,
        otherwise: Option<Box<Expr>>,
    },
    Cast {
        expr: Box<Expr>,
        from: Type,
        to: Type,
        modifier: Modifier,
        context: Context,
    },
    Coalesce(Vec<Expr>),
    Column(usize),
    Compare {
        op: Comparison,
        left: Box<Expr>,
        right: Box<Expr>,
    },
    Concat(Box<Expr>, Box<Expr>),
    Const(Value),
    /// `IS [NOT] DISTINCT FROM`: null equals null.
    Distinct {
        left: Box<Expr>,
        right: Box<Expr>,
        negated: bool,
    },
    /// A column of the row that an `INSERT` proposed.
    Excluded(usize),
    /// `greatest` or `least`: nulls are passed over.
    Extreme {
        greatest: bool,
        args: Vec<Expr>,
    },
    In {
        expr: Box<Expr>,
        list: Vec<Expr>,
        negated: bool,
    },
    /// `IS [NOT] TRUE`, `IS [NOT] FALSE`.
    Is {
        expr: Box<Expr>,
        value: bool,
        negated: bool,
    },
    IsNull {
        expr: Box<Expr>,
        negated: bool,
    },
    Like {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        any_case: bool,
        negated: bool,
    },
    Negate {
        expr: Box<Expr>,
        ty: Type,
    },
    Not(Box<Expr>),
    /// The start of the transaction.
    Now,
    NullIf(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Param(usize),
    /// `left op ANY (array)`, or `ALL`.
    Quantified {
        op: Comparison,
        all: bool,
        left: Box<Expr>,
        array: Box<Expr>,
    },
    /// `expr ~ pattern`.
    Regex {
        expr: Box<Expr>,
        pattern: Box<Expr>,
        any_case: bool,
        negated: bool,
    },
    Subquery(Box<Subquery>),
}

/// A query inside an expression.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Subquery {
    /// Distinguishes it from the other subqueries of the statement; one without `args` runs once per statement.
    pub(crate) id: usize,
    pub(crate) usage: Usage,
    pub(crate) query: Query,
    /// What the query refers to outside itself, as [`Expr::Arg`] by position.
    pub(crate) args: Vec<Expr>,
}

/// What an expression makes of a query's rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Usage {
    /// `ARRAY(…)`.
    Array,
    /// `EXISTS (…)`.
    Exists,
    /// `(left, …) op ANY (…)` or `ALL (…)`; `IN` is `= ANY`. Several columns can only be compared for equality.
    Quantified { op: Comparison, all: bool, left: Vec<Expr> },
    /// The one column of the only row.
    Scalar,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
    NotEqual,
}

impl Comparison {
    /// The operator that says the same with its sides exchanged.
    pub(crate) fn mirrored(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Divide,
    Multiply,
    Remainder,
    Subtract,
}

impl Expr {
    /// Calls `each` with every expression directly below; for a subquery these are what it takes from outside.
    pub(crate) fn for_each_child<'a>(&'a self, each: &mut dyn FnMut(&'a Self)) {
        match self {
            Self::Aggregate(_)
            | Self::Arg(_)
            | Self::Column(_)
            | Self::Const(_)
            | Self::Excluded(_)
            | Self::Now
            | Self::Param(_) => {}
            Self::Cast { expr, .. }
            | Self::Is { expr, .. }
            | Self::IsNull { expr, .. }
            | Self::Negate { expr, .. }
            | Self::Not(expr) => each(expr),
            Self::And(a, b)
            | Self::Concat(a, b)
            | Self::NullIf(a, b)
            | Self::Or(a, b)
            | Self::Arithmetic { left: a, right: b, .. }
            | Self::Compare { left: a, right: b, .. }
            | Self::Distinct { left: a, right: b, .. }
            | Self::Like { expr: a, pattern: b, .. }
            | Self::Quantified { left: a, array: b, .. }
            | Self::Regex { expr: a, pattern: b, .. } => {
                each(a);
                each(b);
            }
            Self::Array(args)
            | Self::Call { args, .. }
            | Self::Coalesce(args)
            | Self::Extreme { args, .. } => args.iter().for_each(each),
            Self::In { expr, list, .. } => {
                each(expr);
                list.iter().for_each(each);
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    each(condition);
                    each(result);
                }
                otherwise.iter().for_each(|otherwise| each(otherwise));
            }
            Self::Subquery(subquery) => {
                subquery.args.iter().for_each(&mut *each);
                if let Usage::Quantified { left, .. } = &subquery.usage {
                    left.iter().for_each(each);
                }
            }
        }
    }

    /// [`Expr::for_each_child`] for changing them; it may fail.
    pub(crate) fn try_each_child_mut<E>(
        &mut self,
        each: &mut dyn FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        match self {
            Self::Aggregate(_)
            | Self::Arg(_)
            | Self::Column(_)
            | Self::Const(_)
            | Self::Excluded(_)
            | Self::Now
            | Self::Param(_) => Ok(()),
            Self::Cast { expr, .. }
            | Self::Is { expr, .. }
            | Self::IsNull { expr, .. }
            | Self::Negate { expr, .. }
            | Self::Not(expr) => each(expr),
            Self::And(a, b)
            | Self::Concat(a, b)
            | Self::NullIf(a, b)
            | Self::Or(a, b)
            | Self::Arithmetic { left: a, right: b, .. }
            | Self::Compare { left: a, right: b, .. }
            | Self::Distinct { left: a, right: b, .. }
            | Self::Like { expr: a, pattern: b, .. }
            | Self::Quantified { left: a, array: b, .. }
            | Self::Regex { expr: a, pattern: b, .. } => {
                each(a)?;
                each(b)
            }
            Self::Array(args)
            | Self::Call { args, .. }
            | Self::Coalesce(args)
            | Self::Extreme { args, .. } => args.iter_mut().try_for_each(each),
            Self::In { expr, list, .. } => {
                each(expr)?;
                list.iter_mut().try_for_each(each)
            }
            Self::Case { branches, otherwise } => {
                for (condition, result) in branches {
                    each(condition)?;
                    each(result)?;
                }
                otherwise.iter_mut().try_for_each(|otherwise| each(otherwise))
            }
            Self::Subquery(subquery) => {
                subquery.args.iter_mut().try_for_each(&mut *each)?;
                match &mut subquery.usage {
                    Usage::Quantified { left, .. } => left.iter_mut().try_for_each(each),
                    _ => Ok(()),
                }
            }
        }
    }

    /// Calls `look` with the expression and everything below it.
    pub(crate) fn visit<'a>(&'a self, look: &mut dyn FnMut(&'a Self)) {
        look(self);
        self.for_each_child(&mut |child| child.visit(look));
    }

    /// The columns that it refers to, each once, in the order in which they are named.
    pub(crate) fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.visit(&mut |expr| {
            if let Self::Column(column) = expr
                && !columns.contains(column)
            {
                columns.push(*column);
            }
        });
        columns
    }

    /// Whether the value is the same for every row of a query.
    pub(crate) fn is_constant(&self) -> bool {
        let mut constant = true;
        self.visit(&mut |expr| {
            constant &= !matches!(expr, Self::Aggregate(_) | Self::Column(_) | Self::Excluded(_));
        });
        constant
    }

    /// Whether it contains a query.
    pub(crate) fn has_subquery(&self) -> bool {
        let mut found = false;
        self.visit(&mut |expr| found |= matches!(expr, Self::Subquery(_)));
        found
    }

    /// Whether every column it refers to has a position for which `accepts` holds.
    pub(crate) fn columns_all(&self, accepts: impl Fn(usize) -> bool) -> bool {
        let mut all = true;
        self.visit(&mut |expr| match expr {
            Self::Column(index) => all &= accepts(*index),
            Self::Aggregate(_) | Self::Excluded(_) => all = false,
            _ => {}
        });
        all
    }

    /// The same expression over rows that lack their first `offset` columns.
    pub(crate) fn rebased(mut self, offset: usize) -> Self {
        self.renumber(&|index| index - offset);
        self
    }

    /// The same expression over rows with `offset` columns more in front.
    pub(crate) fn shifted(mut self, offset: usize) -> Self {
        self.renumber(&|index| index + offset);
        self
    }

    fn renumber(&mut self, number: &dyn Fn(usize) -> usize) {
        if let Self::Column(index) = self {
            *index = number(*index);
        }
        let Ok(()) = self.try_each_child_mut::<std::convert::Infallible>(&mut |child| {
            child.renumber(number);
            Ok(())
        });
    }

    /// The conditions that must all hold for `self` to hold.
    pub(crate) fn conjuncts(self) -> Vec<Self> {
        let mut found = Vec::new();
        let mut open = vec![self];
        while let Some(expr) = open.pop() {
            match expr {
                Self::And(left, right) => open.extend([*right, *left]),
                other => found.push(other),
            }
        }
        found
    }

    /// One condition that holds when all of `conditions` hold; none for no condition.
    pub(crate) fn all(conditions: Vec<Self>) -> Option<Self> {
        conditions.into_iter().reduce(|left, right| Self::And(Box::new(left), Box::new(right)))
    }
}
