// JSON whose numbers stay as they were sent: 9223372036854775807 is not a float64.

// Exact is a number that JavaScript has no number for.
export class Exact {
	constructor(readonly text: string) {}
	toString(): string {
		return this.text
	}
}

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown

export function parseExact<T>(text: string): T {
	const revive: Reviver = (_, value, context) => (typeof value === 'number' && context?.source !== undefined && String(value) !== context.source ? new Exact(context.source) : value)
	return JSON.parse(text, revive) as T
}

// textOf is a value as JSON, indented, with exact numbers as they came.
export function textOf(value: unknown, indent = ''): string {
	if (value instanceof Exact) return value.text
	if (Array.isArray(value)) {
		if (value.length === 0) return '[]'
		return `[\n${value.map(v => `${indent}  ${textOf(v, `${indent}  `)}`).join(',\n')}\n${indent}]`
	}
	if (value !== null && typeof value === 'object') {
		const entries = Object.entries(value)
		if (entries.length === 0) return '{}'
		return `{\n${entries.map(([k, v]) => `${indent}  ${JSON.stringify(k)}: ${textOf(v, `${indent}  `)}`).join(',\n')}\n${indent}}`
	}
	return JSON.stringify(value) ?? ''
}
