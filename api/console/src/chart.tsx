// Curves. Each bucket of steps is drawn from its least to its greatest value, so that no outlier is lost, and said to be so.
import uPlot from 'uplot'
import { useEffect, useRef } from 'preact/hooks'
import { figure } from './format'
import { theme } from './settings'
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

// thinned keeps of each bucket the first, least, greatest and last value, in their order.
export function thinned(steps: number[], values: number[], most: number): [number[], number[]] {
	if (steps.length <= most * 4) return [steps, values]
	const outSteps: number[] = []
	const outValues: number[] = []
	const size = steps.length / most
	for (let b = 0; b < most; b++) {
		const from = Math.floor(b * size)
		const end = Math.min(steps.length, Math.floor((b + 1) * size))
		let lo = from
		let hi = from
		for (let i = from + 1; i < end; i++) {
			if ((values[i] ?? 0) < (values[lo] ?? 0)) lo = i
			if ((values[i] ?? 0) > (values[hi] ?? 0)) hi = i
		}
		for (const i of [...new Set([from, lo, hi, end - 1])].sort((x, y) => x - y)) {
			outSteps.push(steps[i] ?? 0)
			outValues.push(values[i] ?? 0)
		}
	}
	return [outSteps, outValues]
}

export function Chart({ title, curves, height = 220 }: { title: string; curves: Curve[]; height?: number }) {
	const box = useRef<HTMLDivElement>(null)
	const look = theme.value
	useEffect(() => {
		const e = box.current
		if (!e) return
		let plot: uPlot | undefined
		const make = () => {
			plot?.destroy()
			const width = Math.max(200, e.clientWidth)
			const tables = curves.map(c => thinned(c.steps, c.values, width) as [number[], (number | null)[]])
			const data = (tables.length === 0 ? [[]] : tables.length === 1 ? tables[0] : uPlot.join(tables as unknown as uPlot.AlignedData[])) as uPlot.AlignedData
			const axis = { stroke: token('--muted'), grid: { stroke: token('--hairline'), width: 1 }, ticks: { stroke: token('--hairline'), width: 1 }, font: '11px system-ui' }
			plot = new uPlot({
				width, height, legend: { live: true }, cursor: { sync: { key: 'runs' }, drag: { x: true, y: false } }, scales: { x: { time: false } },
				axes: [{ ...axis, values: (_, all) => all.map(v => figure(v)) }, { ...axis, size: 56, values: (_, all) => all.map(v => figure(v)) }],
				series: [{ label: t.step }, ...curves.map((c, i) => ({ label: c.name, stroke: i < 6 ? token(`--data-${i + 1}`) : token('--muted'), width: 1.5, dash: dashes[i % 6] ?? [], spanGaps: true, points: { show: c.steps.length < 60 }, value: (_: uPlot, v: number | null) => (v === null ? '–' : figure(v)) }))],
			}, data, e)
		}
		make()
		let width = e.clientWidth
		const watch = new ResizeObserver(() => { if (Math.abs(e.clientWidth - width) > 4) { width = e.clientWidth; make() } })
		watch.observe(e)
		return () => { watch.disconnect(); plot?.destroy() }
	}, [curves, look, height])
	const width = box.current?.clientWidth ?? 600
	const points = curves.reduce((n, c) => n + c.steps.length, 0)
	const last = curves.map(c => `${c.name}: ${figure(c.values.at(-1))}`).join(', ')
	return <figure class="chart"><figcaption>{title} <span class="dim">{curves.some(c => c.steps.length > width * 4) ? t.pointsThinned(points) : t.points(points)}</span></figcaption><div ref={box} role="img" aria-label={`${title}; ${last}`} /></figure>
}
