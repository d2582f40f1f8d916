// The filter of runs: terms with blanks between, each of which must hold. "metrics.ndcg>0.2 params.dim=64 status!=FAILED als"
// A term without a comparison is a part of the run's name, id, state or user.

export type Cell = string | number | null | undefined
export interface Term { field: string; op: string; value: string }

const term = /^([A-Za-z_](?:"[^"]*"|`[^`]*`|[^\s<>=!~"`])*?)(>=|<=|!=|=|>|<|~)(.*)$/

const bare = (text = '') => text.replace(/["`]/g, '')

// parse reads a filter; quotes keep blanks and signs in a value and, as `metrics."val loss">0.2`, in a field's name.
export function parse(text: string): Term[] {
	const parts = text.match(/(?:[^\s"`]+|"[^"]*"?|`[^`]*`?)+/g) ?? []
	return parts.map(part => {
		const m = term.exec(part)
		return m ? { field: bare(m[1]), op: m[2] ?? '', value: bare(m[3]) } : { field: '', op: '~', value: bare(part) }
	})
}

const whole = /^-?\d+$/ // of any size

// fields are those that a filter reads beside a run's own.
export const fields = (terms: Term[]): string[] => terms.map(x => x.field).filter(f => /^(metrics|params|tags)\../.test(f))

export function holds(terms: Term[], cell: (field: string) => Cell, text: () => string): boolean {
	return terms.every(({ field, op, value }) => {
		if (field === '') return text().includes(value.toLowerCase())
		const v = cell(field)
		if (v === undefined || v === null || v === '') return op === '!='
		const a = typeof v === 'number' ? v : Number(v)
		const b = Number(value)
		const numbers = value !== '' && Number.isFinite(b) && (typeof v === 'number' || v.trim() !== '' && Number.isFinite(a))
		const by = a - b || bySize(v, value)
		switch (op) {
			case '~': return String(v).toLowerCase().includes(value.toLowerCase())
			case '=': return numbers ? by === 0 : String(v) === value
			case '!=': return numbers ? by !== 0 : String(v) !== value
			case '>': return numbers && by > 0
			case '>=': return numbers && by >= 0
			case '<': return numbers && by < 0
			default: return numbers && by <= 0
		}
	})
}

// bySize orders whole numbers as texts that are the same as numbers of the machine.
const bySize = (a: Cell, b: Cell): number => (typeof a === 'string' && typeof b === 'string' && a !== b && whole.test(a) && whole.test(b) ? Number(BigInt(a) > BigInt(b)) - Number(BigInt(a) < BigInt(b)) : 0)

// compare orders cells: numbers by size, texts by letters, what is missing or no number last.
export function compare(a: Cell, b: Cell, down: boolean): number {
	const missing = (v: Cell) => v === undefined || v === null || v === '' || (typeof v === 'number' && Number.isNaN(v))
	if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b))
	const na = typeof a === 'number' ? a : Number(a)
	const nb = typeof b === 'number' ? b : Number(b)
	const by = Number.isNaN(na) || Number.isNaN(nb) ? (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0) : na - nb || bySize(a, b)
	return down ? -by : by
}
