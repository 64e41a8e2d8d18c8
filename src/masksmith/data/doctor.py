"""Look at a whole data set before a minute of training is spent.

Rule: every file is opened, every fault is collected with its file, and nothing is repaired
without being said.
"""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from masksmith import labels
from masksmith.classes import ClassTable, is_ignored_name
from masksmith.data import relations, splits
from masksmith.data.checks import CHECKS, copies
from masksmith.data.dataset import Dataset, Pair
from masksmith.data.findings import Finding, from_error, grouped, note
from masksmith.data.fingerprint import Fingerprint, summarize
from masksmith.data.overview import Overview, survey
from masksmith.data.relations import Relation
from masksmith.data.scan import Progress, Scan, scan
from masksmith.errors import DataError, InputError, MasksmithError
from masksmith.labels import Decision, MaskScan, Unclear
from masksmith.recipe import DataSettings

# Related pictures are kept in one part unless they are more than this share of the pictures to be
# dealt out: then nearly the whole set is one scene, which is told instead.
_LARGEST_GROUP_SHARE = 0.4


@dataclass(frozen=True)
class Checkup:
    """What was seen: the data set with its parts, how masks are read, the fingerprint, findings.

    ``decision`` and ``fingerprint`` are None where the faults left nothing to decide from.
    """

    dataset: Dataset
    decision: Decision | None
    fingerprint: Fingerprint | None
    findings: tuple[Finding, ...]
    """Worst first."""
    folds: tuple[int, ...] | None = None
    """The fold of each pair, where folds were asked for."""
    relations: tuple[Relation, ...] = ()
    """Pairs that belong together, by their numbers."""
    seen: Scan | None = None
    """What was seen of each pair, in the order of the data set."""

    @property
    def faults(self) -> list[Finding]:
        """The findings that stop a training."""
        return [f for f in self.findings if f.severity == "fault"]

    def require(self) -> tuple[ClassTable, Fingerprint]:
        """The class table and the fingerprint.

        Raises:
            DataError: the first fault, with the number of the others.
        """
        if self.decision is not None and self.fingerprint is not None and not self.faults:
            return self.decision.table, self.fingerprint
        if not self.faults:
            raise _nothing_left(self.dataset)
        first = self.faults[0]
        others = len(self.faults) - 1
        hint = f" ({others} more fault{'s' if others > 1 else ''}: masksmith check lists them)" if others else ""
        raise DataError(where=first.where, expected=first.expected, received=first.received, remedy=first.remedy + hint)


def examine(
    dataset: Dataset,
    settings: DataSettings,
    table: ClassTable | None = None,
    *,
    seed: int | None = 0,
    kept: bool = True,
    progress: Progress = lambda done, total: None,
) -> Checkup:
    """Open every picture and mask of a data set, and split it where its folders do not.

    Args:
        dataset: what was found.
        settings: what is ignored, snapped, and how pictures are split.
        table: the class table of a trained model, which then decides instead of the scan.
        seed: decides the split where the folders do not; None splits nothing, and pairs of folders
            that are not split keep ``split=""``.
        kept: use what earlier scans of unchanged files have seen.
        progress: called with (pairs done, pairs in all).
    """
    if seed is not None:  # a run has its parts; the table that they came from may be gone
        dataset = replace(dataset, pairs=tuple(splits.grouped(dataset.pairs, settings.group_by)))
        if settings.split is not None:
            dataset = replace(dataset, pairs=tuple(splits.given(dataset.pairs, Path(settings.split), settings.fold)))
    overlapping = settings.overlapping if table is None else table.overlapping
    border_px = settings.border if table is None else table.border_px
    dataset = replace(dataset, pairs=tuple(_read_so(p, overlapping, border_px) for p in dataset.pairs))
    seen = scan(dataset.pairs, progress, kept=kept)
    errors, scans, kinds = _gathered(seen)
    seen.alpha_is_channel = _alpha_is_channel(kinds)
    decision = _decide(scans, seen, dataset, settings, table)
    findings = [*dataset.findings, *errors]
    if seen.alpha_is_channel:
        text = "the last channel, which the files call transparency, varies as a measured one does, and is used as one"
        findings.append(note("band", text, "pictures"))
    if isinstance(decision, Finding):
        findings.append(decision)
        decision = None
    view = survey(seen, decision.table if decision else None)
    met, left = relations.find(view)
    named = [p.group for p in dataset.pairs]
    dataset, told, folds = _split(dataset, view, met, settings, seed) if seed is not None else (dataset, [], None)
    view.pairs = list(dataset.pairs)
    findings += told
    for check in CHECKS.values():
        findings += check(view)
    findings += [*left, *copies.findings(view, met), *copies.torn(view, named)]
    if decision is None:
        return Checkup(dataset, None, None, tuple(grouped(findings)), folds, tuple(met), seen)
    findings += [*_about_table(decision, dataset.table_file), *_about_storage(scans, decision)]
    fingerprint = summarize(seen, [p.split for p in dataset.pairs], decision.table)
    return Checkup(dataset, decision, fingerprint, tuple(grouped(findings)), folds, tuple(met), seen)


def _read_so(pair: Pair, overlapping: bool, border_px: int) -> Pair:
    """The pair with its annotation read as layers, or with a border between numbered things."""
    if (pair.label.overlapping, pair.label.border_px) == (overlapping, border_px):
        return pair
    return replace(pair, label=replace(pair.label, overlapping=overlapping, border_px=border_px))


def _gathered(seen: Scan) -> tuple[list[Finding], list[MaskScan], Counter[tuple[int, bool | None]]]:
    """What could not be read, what the masks hold, and the pictures by channels and by what their transparency is."""
    errors: list[Finding] = []
    scans: list[MaskScan] = []
    kinds: Counter[tuple[int, bool | None]] = Counter()
    for pair, facts in seen:
        if facts.picture is not None:
            kinds[facts.picture.channels, facts.picture.alpha_measured] += 1
        for kind, where, expected, received, remedy in facts.errors:
            at_picture = where in {str(p) for p in pair.images}
            path = Path(where) if at_picture or Path(where).suffix else pair.mask
            errors.append(Finding(kind, where, expected, received, remedy, (path,)))
        if facts.mask is not None and not facts.mask.is_picture:
            scans.append(facts.mask.scan)
            if len(scans) > 1000:  # a large set never holds them all at once
                scans = labels.merged(scans)
    return errors, labels.merged(scans), kinds


def _alpha_is_channel(kinds: Counter[tuple[int, bool | None]]) -> bool:
    """Whether most pictures have a measured channel in place of transparency."""
    wanted = {channels + 1 for channels, measured in kinds if measured}
    # A program that was told what the band is has not called it transparency.
    like = sum(n for (channels, measured), n in kinds.items() if channels + bool(measured) in wanted)
    return 2 * like > kinds.total()


def _decide(
    scans: list[MaskScan], seen: Scan, dataset: Dataset, settings: DataSettings, table: ClassTable | None
) -> Decision | Finding | None:
    """How the masks are read, or why that cannot be said (None if no mask was readable)."""
    if table is not None:
        kind = "color" if table.encoding == "color" else "index"
        return Decision(table, kind, "the class table of the model")
    if not scans:
        return None
    try:
        decision = labels.decide(scans, dataset.entries, snap=settings.snap, instances=settings.instances)
        return replace(decision, table=replace(decision.table.ignoring(settings.ignore), border_px=settings.border))
    except Unclear as error:
        guilty = error.guilty
        files = [p.mask for p, f in seen if guilty and f.mask is not None and guilty(f.mask.scan)]
        if error.kind == "class table":
            return _table_fault(error, dataset.table_file)
        return from_error(error.kind, error, files)
    except InputError as error:
        return _table_fault(error, dataset.table_file)


def _table_fault(error: MasksmithError, source: Path | None) -> Finding:
    where = str(source) if source is not None else error.where
    files = (source,) if source is not None else ()
    return Finding("class table", where, error.expected, error.received, error.remedy, files)


def _split(
    dataset: Dataset, view: Overview, met: Sequence[Relation], settings: DataSettings, seed: int
) -> tuple[Dataset, list[Finding], tuple[int, ...] | None]:
    presence: dict[Path, frozenset[int]] = {}
    same: dict[frozenset[int], frozenset[int]] = {}  # few sets, of many pictures
    for pair, counts in zip(view.pairs, view.class_pixels, strict=True):
        if counts is not None:
            found = frozenset(int(i) for i in counts[:-1].nonzero()[0])
            presence[pair.image] = same.setdefault(found, found)
    if len(dataset.pairs) < 2:
        return dataset, [_too_few(dataset)], None
    pairs, told = splits.followed(dataset.pairs)
    pairs, kept = _kept_together(pairs, met, splits.drawn(pairs, folds=settings.folds is not None))
    numbers = None
    if settings.folds is not None:
        fold = settings.fold or 0
        numbers = tuple(splits.folds(pairs, presence, settings.folds, seed))
        pairs = [
            p if p.split == "test" else replace(p, split="val" if n == fold else "train")
            for p, n in zip(pairs, numbers, strict=True)
        ]
        more = [
            note(
                "split",
                f"fold {fold} of {settings.folds}: {sum(p.split == 'train' for p in pairs)} train, {sum(p.split == 'val' for p in pairs)} val",
            )
        ]
    else:
        pairs, more = splits.assign(pairs, presence, settings, seed)
    out = replace(dataset, pairs=tuple(pairs))
    if not out.part("train"):
        more.append(
            Finding("empty part", "data", "pictures to train on", "none in the train part", "add a train folder")
        )
    return out, [*told, *kept, *more], numbers


def _kept_together(
    pairs: Sequence[Pair], met: Sequence[Relation], drawn: Sequence[bool]
) -> tuple[list[Pair], list[Finding]]:
    """The pairs; of those that are drawn, related ones as a group, with the groups that they have been given."""
    links = [r for r in met if drawn[r.first] and drawn[r.second]]
    first: dict[str, int] = {}
    open_ones = list(itertools.compress(range(len(pairs)), drawn))
    links += [Relation("group", first.setdefault(g, i), i) for i in open_ones if (g := pairs[i].group)]
    numbers = relations.groups(links, len(pairs))
    members: dict[int, list[int]] = defaultdict(list)
    for i in open_ones:
        members[numbers[i]].append(i)
    if len(members) < 2:
        return list(pairs), []
    most = max(2, _LARGEST_GROUP_SHARE * len(open_ones))
    out, count = list(pairs), 0
    for n, group in members.items():
        names = sorted({pairs[i].group for i in group})
        is_related = len(names) > 1 or (not names[0] and len(group) > 1)
        if not is_related or len(group) > most:
            continue
        name = " + ".join(filter(None, names)) or f"related {n}"
        for i in group:
            out[i] = replace(pairs[i], group=name)
        count += 1
    text = f"{count} groups of related pictures (copies, one scene) are kept in one part each"
    return out, [note("split", text)] if count else []


def _about_table(decision: Decision, source: Path | None) -> list[Finding]:
    found = []
    if len(decision.table) == 1 and not decision.table.overlapping:
        found.append(
            Finding(
                "class table",
                str(source or "class table"),
                "two classes or more, the background being one",
                f"one ({decision.table.names[0]})",
                "name the others, or ignore fewer",
                () if source is None else (source,),
            )
        )
    for entry in decision.table.ignored:
        color, by_name = decision.table.encoding == "color", is_ignored_name(entry.name)
        stands = f"colour {entry.color}" if color else f"value {entry.value}"
        cause = f"{stands}, by its name; the column role of classes.csv says otherwise" if by_name else stands
        found.append(note("ignore", f"ignored in loss and figures: {entry.name} ({cause})", "class table"))
    return found


def _about_storage(scans: Sequence[MaskScan], decision: Decision) -> list[Finding]:
    """A word on masks that are stored in several ways and yet mean the same."""
    ways = {
        "in colour": sum(s.masks for s in scans if s.values is None),
        "with a palette": sum(s.masks for s in scans if s.from_palette),
        "in grey": sum(s.masks for s in scans if s.values is not None and not s.from_palette and s.reader == "picture"),
    }
    met = [f"{count} {way}" for way, count in ways.items() if count]
    if len(met) < 2:
        return []
    by = {"color": "colour", "name": "name"}.get(decision.table.encoding, "value")
    return [note("storage", f"masks are stored in several ways ({', '.join(met)}); all are read by {by}", "masks")]


def _too_few(dataset: Dataset) -> Finding:
    return Finding(
        "too few",
        str(dataset.pairs[0].image.parent),
        "two pictures or more, one to train and one to validate on",
        "1",
        "add pictures, or cut this one in parts",
        (dataset.pairs[0].image,),
    )


def _nothing_left(dataset: Dataset) -> DataError:
    return DataError(
        where=dataset.root,
        expected="a picture with a readable mask",
        received="none",
        remedy="masksmith check tells what is wrong with each",
    )
