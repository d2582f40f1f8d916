package features

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

var someInputs = []named{{"x", kindFloat}, {"n", kindInt}, {"t", kindText}, {"b", kindBool}, {"none", kindFloat}, {"big", kindInt}}

var someValues = []operand{{float: 2.5}, {whole: 7}, {text: "Drama"}, {is: true}, null, {whole: math.MaxInt64}}

// shown is an operand as tests compare it.
func shown(k kind, o operand) any {
	switch {
	case o.null:
		return nil
	case k == kindInt:
		return o.whole
	case k == kindText:
		return o.text
	case k == kindBool:
		return o.is
	}
	return o.float
}

func TestExpression(t *testing.T) {
	for text, want := range map[string]any{
		"1 + 2 * 3": int64(7), "(1 + 2) * 3": int64(9), "7 / 2": 3.5, "7 % 4": int64(3), "-7 % 4": int64(-3), "x - n": -4.5, "2 - 3 - 4": int64(-5), "8 / 4 / 2": 1.0,
		"-x * 2": -5.0, "- - n": int64(7), "1e3 + .5": 1000.5, "x % 2": .5,
		// Null, and what is no number.
		"none + 1": nil, "none == none": nil, "x / 0": nil, "n % 0": nil, "sqrt(-x)": nil, "log(0)": nil, "log(-1)": nil, "1e308 * 10": nil, "big + 1": nil, "-big - 2": nil,
		"big * 2": nil, "big * big": nil, "big + 0": int64(math.MaxInt64), "floor(1e300)": nil, "abs(-big - 1)": nil, "(-big - 1) * -1": nil, "-1 * (-big - 1)": nil, "(-big - 1) % -1": int64(0),
		// Functions.
		"min(3, n, 2)": int64(2), "max(x, n)": 7.0, "abs(-3)": int64(3), "abs(-x)": 2.5, "sqrt(n + 2)": 3.0, "log(1)": 0.0, "floor(-x)": int64(-3), "ceil(x)": int64(3), "round(x)": int64(3), "round(-x)": int64(-3),
		"floor(n)": int64(7), "min(1, none)": nil, "coalesce(none, none, x)": 2.5, "coalesce(n, x)": 7.0, "coalesce(none, 1)": 1.0, "is_null(none)": true, "is_null(x)": false,
		// Conditions.
		`if(t == "Drama", 1, 0)`: int64(1), `if(t != 'Drama', n, x)`: 2.5, "if(x > 3, n)": nil, "if(none > 3, 1, 0)": nil, "if(b, none, 1)": nil, "if(not b, none, 1)": 1.0,
		"x > 2 and n <= 7 and not (x == n)": true, "x >= 3 or b": true, "b == true": true, "b and none > 1": nil, "b or none > 1": nil, "not x > 3": true, "n == 7.0": true, "n < 7.5": true,
		"7 <= n": true, "7 < n": false, "n >= 8": false, "big > big - 1": true, `'' == ""`: true, `t == "drama"`: false,
	} {
		e, err := parseExpression(text, someInputs)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := shown(e.root.kind, e.root.eval(someValues)); got != want {
			t.Errorf("%s is %v, want %v", text, got, want)
		}
	}
}

// TestExpression_Refused: what is wrong is said, with the place.
func TestExpression_Refused(t *testing.T) {
	for text, want := range map[string]string{
		"": "at character 1: the end is not expected here", "1 +": "at character 4", "1 2": `at character 3: "2" is not expected here`, "(1": `at character 3: want ")"`, "y": `at character 1: "y" is neither`,
		"x + y + 1": "at character 5", "pow(x, 2)": `there is no function "pow"`, "min(x)": "min is given 1 arguments", "if(b, 1, 2, 3)": "4 arguments", "abs()": "abs is given 0", "x + t": "at character 3: + is given a text; want numbers",
		"not x": "want true or false", "x and b": "want true or false", "if(x, 1, 2)": "want a condition", "if(b, 1, t)": "two of a kind", "t == 1": "two of a kind", "t < 'a'": "want numbers", "coalesce(t, 1)": "two of a kind",
		"1 < 2 < 3": "comparisons do not follow", "x = 1": `"=" is no operator`, "!b": `"!" is no operator`, "x & 1": `'&' has no meaning`, `"open`: "does not end", "1.2.3": "is no number", "1e999": "is no number", "99999999999999999999": "",
		"min(1,)": "is not expected", strings.Repeat("(", 40) + "1" + strings.Repeat(")", 40): "more than 32 levels", strings.Repeat("-", 40) + "1": "more than 32 levels", strings.Repeat("1+", 600) + "1": "has 1201 bytes", "x\xff": "UTF-8",
		"é": "'é' has no meaning", "'é' + 1": "at character 5",
	} {
		e, err := parseExpression(text, someInputs)
		switch {
		case want == "" && err != nil:
			t.Errorf("%.40q: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.40q: %v %v, want %q", text, e, err, want)
		}
	}
}

// TestExpression_Log: the own logarithm is that of the library to the last bits.
func TestExpression_Log(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 100_000 {
		x := math.Abs(math.Float64frombits(rng.Uint64()))
		if math.IsNaN(x) || math.IsInf(x, 0) || x < 0x1p-1022 { // of smaller ones the library's is wrong on some machines
			continue
		}
		got, want := logOf(x), math.Log(x)
		if d := math.Abs(got - want); d > 1e-15*math.Abs(want) && got != want {
			t.Fatalf("log(%v) is %v, want %v", x, got, want)
		}
	}
	if math.Float64bits(logOf(10)) != 0x40026bb1bbb55516 || logOf(math.SmallestNonzeroFloat64) != -744.4400719213812 {
		t.Errorf("log(10) is %x", math.Float64bits(logOf(10)))
	}
}

// FuzzExpression: whatever is written is refused or computed, the same twice, and never a number that is none.
func FuzzExpression(f *testing.F) {
	for _, text := range []string{"1 + 2 * x", "if(b, n, x)", `t == "a" and not b`, "min(1, max(x, n) / 3)", "coalesce(none, log(x))", "((((", "--1", "is_null(t) or 1<2", "1e9%n"} {
		f.Add(text, 1.5, int64(3), "a", true)
	}
	f.Fuzz(func(t *testing.T, text string, x float64, n int64, s string, b bool) {
		e, err := parseExpression(text, someInputs)
		if err != nil {
			return
		}
		in := []operand{finite(x), {whole: n}, {text: s}, {is: b}, null, {whole: math.MinInt64}}
		out := e.root.eval(in)
		if out != e.root.eval(in) || math.IsNaN(out.float) || math.IsInf(out.float, 0) {
			t.Fatalf("%q gives %v", text, out)
		}
	})
}
