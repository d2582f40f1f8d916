// The filter of runs: terms with blanks between, each of which must hold. "metrics.ndcg>0.2 params.dim=64 status!=FAILED als"
// A term without a comparison is a part of the run's name, id, state or user.

export type Cell = string | number | null | undefined
export interface Term { field: string; op: string; value: string }

const term = /^([A-Za-z_][^\s<>=!~]*?)(>=|<=|!=|=|>|<|~)(.*)$/

// parse reads a filter; quotes keep blanks in a value.
export function parse(text: string): Term[] {
	const parts = text.match(/(?:[^\s"]+|"[^"]*"?)+/g) ?? []
	return parts.map(part => {
		const m = term.exec(part)
		return m ? { field: m[1] ?? '', op: m[2] ?? '', value: (m[3] ?? '').replaceAll('"', '') } : { field: '', op: '~', value: part.replaceAll('"', '') }
	})
}

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
		switch (op) {
			case '~': return String(v).toLowerCase().includes(value.toLowerCase())
			case '=': return numbers ? a === b : String(v) === value
			case '!=': return numbers ? a !== b : String(v) !== value
			case '>': return numbers && a > b
			case '>=': return numbers && a >= b
			case '<': return numbers && a < b
			default: return numbers && a <= b
		}
	})
}

// compare orders cells: numbers by size, texts by letters, what is missing or no number last.
export function compare(a: Cell, b: Cell, down: boolean): number {
	const missing = (v: Cell) => v === undefined || v === null || v === '' || (typeof v === 'number' && Number.isNaN(v))
	if (missing(a) || missing(b)) return Number(missing(a)) - Number(missing(b))
	const na = typeof a === 'number' ? a : Number(a)
	const nb = typeof b === 'number' ? b : Number(b)
	const by = Number.isNaN(na) || Number.isNaN(nb) ? (String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0) : na - nb
	return down ? -by : by
}
