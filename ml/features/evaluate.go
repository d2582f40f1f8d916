package features

import (
	"cmp"
	"math"
)

var null = operand{null: true}

// eval computes a term of the values that its expression names.
func (t *term) eval(in []operand) operand {
	switch t.op {
	case "constant":
		return t.value
	case "input":
		return in[t.input]
	case "if":
		switch c := t.args[0].eval(in); {
		case c.null || !c.is && len(t.args) < 3:
			return null
		case c.is:
			return t.args[1].eval(in)
		}
		return t.args[2].eval(in)
	case "coalesce":
		for _, a := range t.args {
			if v := a.eval(in); !v.null {
				return v
			}
		}
		return null
	case "is_null":
		return operand{is: t.args[0].eval(in).null}
	}
	a := t.args[0].eval(in)
	if a.null {
		return null
	}
	of := t.args[0].kind
	if len(t.args) == 1 {
		return t.one(of, a)
	}
	for _, arg := range t.args[1:] {
		b := arg.eval(in)
		if b.null {
			return null
		}
		if a = t.two(of, a, b); a.null {
			return null
		}
	}
	return a
}

// one computes an operator or function of one value.
func (t *term) one(of kind, a operand) operand {
	switch t.op {
	case "not":
		return operand{is: !a.is}
	case "float":
		return operand{float: float64(a.whole)}
	case "sqrt":
		return finite(math.Sqrt(a.float))
	case "log":
		return finite(logOf(a.float))
	}
	if of == kindInt {
		switch t.op {
		case "minus":
			return difference(0, a.whole)
		case "abs":
			if a.whole < 0 {
				return difference(0, a.whole)
			}
		}
		return a
	}
	switch t.op {
	case "minus":
		return operand{float: -a.float}
	case "abs":
		return operand{float: math.Abs(a.float)}
	case "floor":
		return wholeNumber(math.Floor(a.float))
	case "ceil":
		return wholeNumber(math.Ceil(a.float))
	}
	return wholeNumber(math.Round(a.float))
}

// two computes an operator or function of two values of one kind.
func (t *term) two(of kind, a, b operand) operand {
	switch t.op {
	case "and":
		return operand{is: a.is && b.is}
	case "or":
		return operand{is: a.is || b.is}
	case "==":
		return operand{is: equal(of, a, b)}
	case "!=":
		return operand{is: !equal(of, a, b)}
	}
	if of == kindInt {
		return t.whole(a.whole, b.whole)
	}
	return t.real(a.float, b.float)
}

func (t *term) real(a, b float64) operand {
	switch t.op {
	case "<":
		return operand{is: a < b}
	case "<=":
		return operand{is: a <= b}
	case ">":
		return operand{is: a > b}
	case ">=":
		return operand{is: a >= b}
	case "+":
		return finite(float64(a + b)) // each is rounded: nothing is fused, so that every machine gets the same bits
	case "-":
		return finite(float64(a - b))
	case "*":
		return finite(float64(a * b))
	case "/":
		return finite(float64(a / b))
	case "%":
		return finite(math.Mod(a, b))
	case "min":
		return operand{float: math.Min(a, b)}
	}
	return operand{float: math.Max(a, b)}
}

func (t *term) whole(a, b int64) operand {
	switch t.op {
	case "<", "<=", ">", ">=":
		c := cmp.Compare(a, b)
		return operand{is: c < 0 && t.op[0] == '<' || c > 0 && t.op[0] == '>' || c == 0 && len(t.op) == 2}
	case "+":
		if s := a + b; (s > a) == (b > 0) {
			return operand{whole: s}
		}
		return null
	case "-":
		return difference(a, b)
	case "*":
		if a == 0 || b == 0 {
			return operand{}
		}
		if m := a * b; m/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64) {
			return operand{whole: m}
		}
		return null
	case "%":
		if b == 0 {
			return null
		}
		if b == -1 {
			return operand{}
		}
		return operand{whole: a % b}
	case "min":
		return operand{whole: min(a, b)}
	}
	return operand{whole: max(a, b)}
}

func equal(of kind, a, b operand) bool {
	switch of {
	case kindInt:
		return a.whole == b.whole
	case kindText:
		return a.text == b.text
	case kindBool:
		return a.is == b.is
	}
	return a.float == b.float
}

func difference(a, b int64) operand {
	if d := a - b; (d < a) == (b > 0) {
		return operand{whole: d}
	}
	return null
}

// finite is a number, or null for what is none.
func finite(x float64) operand {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return null
	}
	return operand{float: x}
}

// wholeNumber is a float without a fraction as a whole number; null beyond 64 bits.
func wholeNumber(x float64) operand {
	if x >= -1<<63 && x < 1<<63 {
		return operand{whole: int64(x)}
	}
	return null
}

// logOf is the natural logarithm. math.Log is assembly on some machines and may differ in the last bit; this is the algorithm of FreeBSD's e_log.c
// with each step rounded, and gives the same bits everywhere.
func logOf(x float64) float64 {
	const (
		ln2Hi = 6.93147180369123816490e-01
		ln2Lo = 1.90821492927058770002e-10
		l1    = 6.666666666666735130e-01
		l2    = 3.999999999940941908e-01
		l3    = 2.857142874366239149e-01
		l4    = 2.222219843214978396e-01
		l5    = 1.818357216161805012e-01
		l6    = 1.531383769920937332e-01
		l7    = 1.479819860511658591e-01
	)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 1):
		return x
	case x < 0:
		return math.NaN()
	case x == 0:
		return math.Inf(-1)
	}
	f1, e := math.Frexp(x)
	if f1 < math.Sqrt2/2 {
		f1 *= 2
		e--
	}
	f, k := f1-1, float64(e)
	mul := func(a, b float64) float64 { return float64(a * b) }
	s := f / (2 + f)
	s2 := mul(s, s)
	s4 := mul(s2, s2)
	t1 := mul(s2, l1+mul(s4, l3+mul(s4, l5+mul(s4, l7))))
	t2 := mul(s4, l2+mul(s4, l4+mul(s4, l6)))
	r := t1 + t2
	hfsq := mul(mul(0.5, f), f)
	return mul(k, ln2Hi) - ((hfsq - (mul(s, hfsq+r) + mul(k, ln2Lo))) - f)
}
