// Curves, as they are given.
import type uPlot from 'uplot'
import { useEffect, useRef } from 'preact/hooks'
import { figure, time } from './format'
import { useLater } from './later'
import { Fault } from './parts/states'
import { theme, zone } from './settings'
import { t } from './text'

export interface Curve { name: string; steps: number[]; values: number[] }

const dashes = [[], [6, 3], [2, 2], [10, 3, 2, 3], [1, 3], [12, 4]]

// token is a colour as the theme has it now: a canvas knows no light-dark().
function token(name: string): string {
	const probe = document.createElement('i')
	probe.style.color = `var(${name})`
	document.body.append(probe)
	const colour = getComputedStyle(probe).color
	probe.remove()
	return colour
}

export interface Mark { at: number; label: string }

interface Props {
	title: string
	curves: Curve[]
	note: string
	height?: number
	times?: boolean // steps are Unix milliseconds
	marks?: Mark[] // lines at steps
	onPick?: (step: number) => void // a step that was clicked
}

// brief is a time along an axis that spans so many milliseconds.
const brief = (at: number, span: number): string => (span > 2 * 86_400_000 ? time(at, true).slice(0, 10) : time(at, true).slice(11, span > 600_000 ? 16 : 19))

export function Chart({ title, curves, note, height = 220, times, marks, onPick }: Props) {
	const box = useRef<HTMLDivElement>(null)
	const look = `${theme.value} ${zone.value}`
	const pick = useRef(onPick)
	const { file, problem, again } = useLater('plot')
	pick.current = onPick
	useEffect(() => {
		const e = box.current
		if (!e || !file) return
		const Plot = file.default
		let plot: uPlot | undefined
		const make = () => {
			plot?.destroy()
			const width = Math.max(200, e.clientWidth)
			const tables = curves.map(c => [c.steps, c.values.map(v => (Number.isFinite(v) ? v : null))] as [number[], (number | null)[]])
			const data = (tables.length === 0 ? [[]] : tables.length === 1 ? tables[0] : Plot.join(tables as unknown as uPlot.AlignedData[])) as uPlot.AlignedData
			const axis = { stroke: token('--muted'), grid: { stroke: token('--hairline'), width: 1 }, ticks: { stroke: token('--hairline'), width: 1 }, font: '11px system-ui' }
			plot = new Plot({
				width, height, legend: { live: true }, cursor: { sync: { key: times ? 'times' : 'runs' }, drag: { x: true, y: false } }, scales: { x: { time: times === true, ...(times ? { range: (u: uPlot, a: number | null, b: number | null): [number | null, number | null] => (a !== null && u.data[0]?.length === 1 ? [a - 43_200_000, a + 86_400_000] : [a, b]) } : {}) } }, ms: 1, ...(zone.peek() === 'local' ? {} : { tzDate: (at: number) => Plot.tzDate(new Date(at), zone.peek()) }),
				axes: [{ ...axis, space: times ? 80 : 50, values: (_, all) => all.map(v => (times ? brief(v, (all.at(-1) ?? v) - (all[0] ?? v)) : figure(v))) }, { ...axis, size: 56, values: (_, all) => all.map(v => figure(v)) }],
				series: [times ? { label: t.eventTime, value: (_: uPlot, v: number | null) => (v === null ? '–' : time(v, true)) } : { label: t.step }, ...curves.map((c, i) => ({ label: c.name, stroke: i < 6 ? token(`--data-${i + 1}`) : token('--muted'), width: 1.5, dash: dashes[i % 6] ?? [], spanGaps: true, points: { show: c.steps.length < 60 }, value: (_: uPlot, v: number | null) => (v === null ? '–' : figure(v)) }))],
				hooks: { draw: [u => {
					u.ctx.save()
					u.ctx.strokeStyle = token('--accent')
					for (const m of marks ?? []) {
						const x = Math.round(u.valToPos(m.at, 'x', true))
						if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue
						u.ctx.beginPath()
						u.ctx.moveTo(x, u.bbox.top)
						u.ctx.lineTo(x, u.bbox.top + u.bbox.height)
						u.ctx.stroke()
					}
					u.ctx.restore()
				}] },
			}, data, e)
		}
		make()
		// A click that is no drag picks the step that is nearest.
		let from = 0
		const down = (m: MouseEvent) => { from = m.clientX }
		const click = (m: MouseEvent) => {
			if (!plot || Math.abs(m.clientX - from) > 3 || !plot.over.contains(m.target as globalThis.Node)) return
			const at = plot.data[0]?.[plot.posToIdx(m.clientX - plot.over.getBoundingClientRect().left)]
			if (at !== undefined) pick.current?.(at)
		}
		e.addEventListener('mousedown', down, true)
		e.addEventListener('click', click, true)
		let width = e.clientWidth
		const watch = new ResizeObserver(() => { if (Math.abs(e.clientWidth - width) > 4) { width = e.clientWidth; make() } })
		watch.observe(e)
		return () => { watch.disconnect(); plot?.destroy(); e.removeEventListener('mousedown', down, true); e.removeEventListener('click', click, true) }
	}, [file, curves, marks, look, height])
	const last = curves.map(c => `${c.name}: ${figure(c.values.at(-1))}`).join(', ')
	return <figure class="chart"><figcaption>{title} <span class="dim">{note}</span></figcaption>{problem && <Fault problem={problem} again={again} />}<div ref={box} style={{ minHeight: `${height}px` }} role="img" aria-label={`${title}; ${last}`} /></figure>
}
