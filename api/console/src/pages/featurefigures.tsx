// How features are distributed over their entities, and how far that is from what a model was trained on.
import { then, url, useGet } from '../api'
import { count, figure } from '../format'
import { Fact, Facts } from '../parts/bits'
import { Moments, only } from '../parts/moments'
import { Shown } from '../parts/states'
import { asOf, place, set } from '../router'
import { t } from '../text'
import type { FeatureFigures, FeatureStatistics, Page, TrainingSet } from '../types'

const samples = ['2000', '20000'] // entities that are looked at, at most

export function Figures({ name }: { name: string }) {
	const against = place.value.params.get('against') ?? ''
	const sample = samples.find(n => n === place.value.params.get('sample')) ?? '2000'
	const sets = useGet<Page<TrainingSet>>(then('/api/v1/training-sets', { limit: 200 }), { views: ['training_sets'] })
	const got = useGet<FeatureStatistics>(then('/api/v1/features/statistics', { view: name, against, sample, as_of: asOf.value }))
	const chosen = sets.data?.items.map(s => `${s.name}@${s.version}`) ?? []
	return (
		<>
			<form class="filters" onSubmit={e => e.preventDefault()}>
				<label>{t.trainingSet}<select data-filter="" data-focus="against" value={against} onChange={e => set({ against: e.currentTarget.value })}><option value="">–</option>{[...new Set([...chosen, ...(against ? [against] : [])])].map(s => <option key={s} value={s}>{s}</option>)}</select></label>
				<label>{t.sample}<select data-focus="sample" value={sample} onChange={e => set({ sample: e.currentTarget.value === '2000' ? '' : e.currentTarget.value })}>{samples.map(n => <option key={n} value={n}>{count(Number(n))}</option>)}</select></label>
				<button type="button" onClick={got.again} disabled={got.loading}>{t.countAgain}</button>
			</form>
			<Moments of={[{ path: url('/api/v1/features/statistics', { view: name, sample }), dated: true, views: ['features'], items: a => a.views?.[0]?.features ?? [], id: f => f.feature, shows: f => ({ count: f.count, nulls: f.nulls, ...only('min', 'max', 'mean', 'distinct')(f.numbers ?? f.words ?? {}) }) }]} prefix="feature" />
			<Shown got={got} rows={10}>{s => {
				const v = s.views[0]
				return v === undefined ? <p class="dim">{t.none}</p> : (
					<>
						<Facts><Fact name={t.entities}>{count(v.found)}</Fact>{v.sampled < v.entities && <Fact name={t.sample}>{count(v.sampled)} / {count(v.entities)}</Fact>}{s.against && <Fact name={t.drifted}><b class={s.against.drifted > 0 ? 'bad' : 'ok'}>{s.against.drifted}</b> / {s.against.compared}</Fact>}{s.against && !s.against.same_definitions && <Fact name={t.definitions}><span class="warn">{t.otherDefinitions}</span></Fact>}</Facts>
						<div class="scroll-x" tabIndex={0} role="group" aria-label={t.distribution}><table class="roomy"><thead><tr><th>{t.feature}</th><th class="num">{t.values}</th><th class="num">{t.noValue}</th><th>{t.distribution}</th><th class="num">min</th><th class="num">p50</th><th class="num">{t.mean}</th><th class="num">max</th>{s.against && <><th class="num">JS</th><th class="num">PSI</th><th>{t.drifted}</th></>}</tr></thead>
							<tbody>{v.features.map(f => (
								<tr key={f.feature}><td class="mono">{f.feature}</td><td class="num">{count(f.count)}</td><td class="num">{count(f.nulls)}</td><td><Shape f={f} /></td><td class="num">{figure(f.numbers?.min)}</td><td class="num">{figure(f.numbers?.quantiles.p50)}</td><td class="num">{figure(f.numbers?.mean)}</td><td class="num">{figure(f.numbers?.max)}</td>
									{s.against && <><td class="num">{figure(f.drift?.js)}</td><td class="num">{figure(f.drift?.psi)}</td><td>{f.drift ? f.drift.too_few ? <span class="dim">{t.tooFew}</span> : f.drift.drifted ? <b class="bad">✕ {t.yes}</b> : <span class="ok">✓ {t.no}</span> : ''}</td></>}</tr>
							))}</tbody></table></div>
					</>
				)
			}}</Shown>
		</>
	)
}

// Shape is a histogram of numbers, or the words that are met most.
function Shape({ f }: { f: FeatureFigures }) {
	const bins = f.numbers?.histogram
	if (bins) {
		const most = Math.max(1, ...bins.map(b => b.count))
		return <svg class="shape" width={bins.length * 5} height="22" role="img" aria-label={bins.map(b => `${figure(b.from)}–${figure(b.to)}: ${b.count}`).join(', ')}>{bins.map((b, i) => <rect key={i} x={i * 5} width="4" y={22 - Math.max(b.count > 0 ? 1 : 0, (b.count / most) * 22)} height={Math.max(b.count > 0 ? 1 : 0, (b.count / most) * 22)}><title>{`${figure(b.from)}–${figure(b.to)}: ${b.count}`}</title></rect>)}</svg>
	}
	return f.words ? <span class="dim wrap">{f.words.top.slice(0, 3).map(w => `${w.value.slice(0, 40)} (${count(w.count)})`).join(', ')} {f.words.distinct > 3 && `+ ${count(f.words.distinct - 3)}${f.words.at_least ? '…' : ''}`}</span> : null
}
