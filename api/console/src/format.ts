// Times, durations, sizes and numbers, one form each.
import { zone } from './settings'

const zoned = new Map<string, Intl.DateTimeFormat>()
function parts(millis: number, timeZone: string): Record<string, string> {
	let f = zoned.get(timeZone)
	if (!f) {
		f = new Intl.DateTimeFormat('en-GB', {
			...(timeZone === 'local' ? {} : { timeZone }), hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', timeZoneName: 'longOffset',
		})
		zoned.set(timeZone, f)
	}
	return Object.fromEntries(f.formatToParts(millis).map(p => [p.type, p.value]))
}

// time is "2026-11-17 09:00:00.123 +09:00" in the header's zone; short leaves out milliseconds and zone.
export function time(millis: number, short = false): string {
	if (!Number.isFinite(millis)) return ''
	const p = parts(millis, zone.value)
	const at = `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`
	if (short) return at
	const offset = (p.timeZoneName ?? '').replace('GMT', '')
	return `${at}.${String(Math.floor(((millis % 1000) + 1000) % 1000)).padStart(3, '0')} ${offset === '' ? '+00:00' : offset}`
}

// typed is a moment as it was typed, for the API: what has the form that times are shown in is RFC 3339, of the header's zone where it says no other.
export function typed(text: string): string {
	const m = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d)(:\d\d(?:\.\d+)?)?(?: ?(Z|[+-]\d\d:\d\d))?$/.exec(text.trim())
	if (!m) return text.trim()
	const [, day, clock, seconds = ':00', offset] = m
	if (offset) return `${day}T${clock}${seconds}${offset}`
	const wall = Date.parse(`${day}T${clock}${seconds}Z`)
	let at = wall
	for (let i = 0; i < 2; i++) { // the zone's distance at the time itself, which is not known before it is tried
		const p = parts(at, zone.value)
		at = wall - (Date.parse(`${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}:${p.second}Z`) - Math.floor(at / 1000) * 1000)
	}
	return Number.isNaN(at) ? text.trim() : new Date(at).toISOString()
}

// millisOf reads a time of the API: RFC 3339, or milliseconds.
export const millisOf = (v: string | number | undefined | null): number => (v === undefined || v === null || v === '' ? Number.NaN : typeof v === 'number' ? v : Date.parse(v))

// duration is "1 m 23 s", of two units at most.
export function duration(millis: number): string {
	if (!Number.isFinite(millis)) return ''
	if (millis < 0) return `−${duration(-millis)}`
	if (millis < 1000) return `${Math.round(millis)} ms`
	if (millis < 10_000) return `${(millis / 1000).toFixed(1)} s`
	const units: [string, number][] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000]]
	let left = Math.round(millis / 1000) * 1000
	const out: string[] = []
	for (const [name, size] of units) {
		const n = Math.floor(left / size)
		left -= n * size
		if (n > 0 || (out.length > 0 && name !== 's')) out.push(`${n} ${name}`)
		if (out.length === 2) break
	}
	return out.join(' ')
}

export function bytes(n: number): string {
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
	let i = 0
	while (n >= 1024 && i < units.length - 1) {
		n /= 1024
		i++
	}
	return `${i === 0 ? n : n.toPrecision(3)} ${units[i]}`
}

const whole = new Intl.NumberFormat('en-US')
export const count = (n: number): string => whole.format(n).replaceAll(',', ' ')

// figure has four digits; all of them are copied.
export function figure(v: unknown): string {
	const n = typeof v === 'number' ? v : Number(v)
	if (v === undefined || v === null || v === '') return ''
	if (typeof v === 'string' && !Number.isFinite(n)) return v === 'NaN' ? 'NaN' : v === 'Infinity' ? '∞' : v === '-Infinity' ? '−∞' : v
	if (Number.isInteger(n) && Math.abs(n) < 1e6) return String(n)
	const size = Math.abs(n)
	return size !== 0 && (size < 1e-4 || size >= 1e7) ? n.toExponential(3) : String(Number(n.toPrecision(4)))
}

export const shortId = (id: string): string => (id.length > 12 && /^[0-9a-f-]+$/.test(id) ? id.slice(0, 8) : id)
