//! Functions of numbers (PostgreSQL 16 docs, §9.3).

use rust_decimal::{Decimal, RoundingStrategy};

use super::{Arg, FLOAT, Function, INT4, INT8, NUMERIC, function, int_of};
use crate::{
    data::{Float, Type, Value, cast, float, numeric},
    error::{Result, SqlError, state},
    sql::eval::Scope,
};

pub(super) const ALL: &[Function] = &[
    function("abs", &[Arg::Is(Type::Int2)], Type::Int2, |args, _| absolute(&args[0], Type::Int2)),
    function("abs", &[INT4], Type::Int4, |args, _| absolute(&args[0], Type::Int4)),
    function("abs", &[INT8], Type::Int8, |args, _| absolute(&args[0], Type::Int8)),
    function("abs", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(decimal_of(&args[0]).abs()))),
    function("abs", &[FLOAT], Type::Float8, |args, _| Ok(Value::Float8(Float(float_of(&args[0]).abs())))),
    function("ceil", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(decimal_of(&args[0]).ceil()))),
    function("ceil", &[FLOAT], Type::Float8, |args, _| Ok(Value::Float8(Float(float_of(&args[0]).ceil())))),
    function("ceiling", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(decimal_of(&args[0]).ceil()))),
    function("ceiling", &[FLOAT], Type::Float8, |args, _| {
        Ok(Value::Float8(Float(float_of(&args[0]).ceil())))
    }),
    function("div", &[NUMERIC, NUMERIC], Type::Numeric, |args, _| {
        let (a, b) = (decimal_of(&args[0]), decimal_of(&args[1]));
        if b.is_zero() {
            return Err(numeric::division_by_zero());
        }
        let rest = numeric::remainder(a, b)?;
        numeric::divide(numeric::add(a, -rest)?, b).map(|quotient| Value::Numeric(quotient.trunc()))
    }),
    function("exp", &[FLOAT], Type::Float8, |args, _| float_result(float_of(&args[0]).exp(), &args[..1])),
    function("floor", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(decimal_of(&args[0]).floor()))),
    function("floor", &[FLOAT], Type::Float8, |args, _| Ok(Value::Float8(Float(float_of(&args[0]).floor())))),
    function("ln", &[FLOAT], Type::Float8, |args, _| logarithm(args, f64::ln)),
    function("log", &[FLOAT], Type::Float8, |args, _| logarithm(args, f64::log10)),
    function("mod", &[INT8, INT8], Type::Int8, |args, _| match int_of(&args[1]) {
        0 => Err(numeric::division_by_zero()),
        divisor => Ok(Value::Int(int_of(&args[0]).wrapping_rem(divisor))),
    }),
    function("mod", &[INT4, INT4], Type::Int4, |args, _| match int_of(&args[1]) {
        0 => Err(numeric::division_by_zero()),
        divisor => Ok(Value::Int(int_of(&args[0]).wrapping_rem(divisor))),
    }),
    function("mod", &[NUMERIC, NUMERIC], Type::Numeric, |args, _| {
        numeric::remainder(decimal_of(&args[0]), decimal_of(&args[1])).map(Value::Numeric)
    }),
    function("pi", &[], Type::Float8, |_, _| Ok(Value::Float8(Float(std::f64::consts::PI)))),
    function("pow", &[FLOAT, FLOAT], Type::Float8, power),
    function("power", &[FLOAT, FLOAT], Type::Float8, power),
    function("round", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(rounded(&args[0], 0)))),
    function("round", &[FLOAT], Type::Float8, |args, _| {
        Ok(Value::Float8(Float(float_of(&args[0]).round_ties_even())))
    }),
    function("round", &[NUMERIC, INT4], Type::Numeric, |args, _| {
        scaled(&args[0], int_of(&args[1]), RoundingStrategy::MidpointAwayFromZero)
    }),
    function("sign", &[NUMERIC], Type::Numeric, |args, _| {
        let value = decimal_of(&args[0]);
        let sign = if value.is_sign_negative() { Decimal::NEGATIVE_ONE } else { Decimal::ONE };
        Ok(Value::Numeric(if value.is_zero() { Decimal::ZERO } else { sign }))
    }),
    function("sign", &[FLOAT], Type::Float8, |args, _| {
        let value = float_of(&args[0]);
        Ok(Value::Float8(Float(if value == 0.0 || value.is_nan() { value } else { value.signum() })))
    }),
    function("sqrt", &[FLOAT], Type::Float8, |args, _| match float_of(&args[0]) {
        value if value < 0.0 => Err(SqlError::new("2201F", "cannot take square root of a negative number")),
        value => Ok(Value::Float8(Float(value.sqrt()))),
    }),
    function("trunc", &[NUMERIC], Type::Numeric, |args, _| Ok(Value::Numeric(decimal_of(&args[0]).trunc()))),
    function("trunc", &[FLOAT], Type::Float8, |args, _| Ok(Value::Float8(Float(float_of(&args[0]).trunc())))),
    function("trunc", &[NUMERIC, INT4], Type::Numeric, |args, _| {
        scaled(&args[0], int_of(&args[1]), RoundingStrategy::ToZero)
    }),
];

fn decimal_of(value: &Value) -> Decimal {
    if let Value::Numeric(value) = value { *value } else { Decimal::ZERO }
}

fn float_of(value: &Value) -> f64 {
    if let Value::Float8(value) = value { value.0 } else { f64::NAN }
}

fn float_result(result: f64, args: &[Value]) -> Result<Value> {
    float::checked(result, args.iter().all(|arg| float_of(arg).is_finite())).map(Value::Float8)
}

fn absolute(value: &Value, ty: Type) -> Result<Value> {
    cast::convert(
        Value::Int(int_of(value).checked_abs().ok_or_else(|| cast::range(ty))?),
        Type::Int8,
        ty,
        crate::data::Modifier::None,
        cast::Context::Explicit,
    )
}

fn logarithm(args: &[Value], of: fn(f64) -> f64) -> Result<Value> {
    match float_of(&args[0]) {
        0.0 => Err(SqlError::new("2201E", "cannot take logarithm of zero")),
        value if value < 0.0 => Err(SqlError::new("2201E", "cannot take logarithm of a negative number")),
        value => Ok(Value::Float8(Float(of(value)))),
    }
}

fn power(args: &[Value], _: &Scope<'_>) -> Result<Value> {
    let (base, exponent) = (float_of(&args[0]), float_of(&args[1]));
    if base == 0.0 && exponent < 0.0 {
        return Err(SqlError::new("2201F", "zero raised to a negative power is undefined"));
    }
    if base < 0.0 && exponent.fract() != 0.0 {
        return Err(SqlError::new(
            "2201F",
            "a negative number raised to a non-integer power yields a complex result",
        ));
    }
    float_result(base.powf(exponent), args)
}

fn rounded(value: &Value, scale: u32) -> Decimal {
    decimal_of(value).round_dp_with_strategy(scale, RoundingStrategy::MidpointAwayFromZero)
}

/// The number with `scale` digits after the point, or with that many zeros before it if negative.
fn scaled(value: &Value, scale: i64, strategy: RoundingStrategy) -> Result<Value> {
    let value = decimal_of(value);
    if let Ok(scale) = u32::try_from(scale) {
        let mut rounded = value.round_dp_with_strategy(scale.min(28), strategy);
        rounded.rescale(scale.min(28));
        if rounded.scale() != scale.min(28) || scale > 28 {
            return Err(numeric::overflow());
        }
        return Ok(Value::Numeric(rounded));
    }
    let Some(unit) = u32::try_from(-scale).ok().and_then(|zeros| 10_i128.checked_pow(zeros)) else {
        return Ok(Value::Numeric(Decimal::ZERO));
    };
    let Ok(unit) = Decimal::try_from_i128_with_scale(unit, 0) else {
        return Ok(Value::Numeric(Decimal::ZERO));
    };
    let quotient = value.checked_div(unit).ok_or_else(numeric::overflow)?;
    numeric::multiply(quotient.round_dp_with_strategy(0, strategy), unit)
        .map(Value::Numeric)
        .map_err(|_| SqlError::new(state::OUT_OF_RANGE, "value overflows numeric format"))
}
