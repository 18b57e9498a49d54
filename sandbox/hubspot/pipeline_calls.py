"""The pipelines interface for deals. Products, line items, companies and contacts have no pipelines here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import errors, times
from .call import Answer, Call, kind_of, unknown_path, wrong_method
from .errors import ApiError
from .kinds import DEALS
from .pipelines import Pipeline, Stage
from .shape import objects, whole

STAGES = 100
USER = 9274996


def route(call: Call) -> Answer:
    """``/crm/pipelines/{version}/{type}[/…]``."""
    kind = kind_of(call.parts[0])
    scopes = kind.schema_scopes("read" if call.method == "GET" else "write")
    call.need(scopes)
    if kind is not DEALS:
        if call.method == "GET" and len(call.parts) == 1:
            return Answer(200, {"results": []})
        raise errors.invalid(f"Object type {kind.type_id} does not support pipelines")
    match (call.method, *call.parts[1:]):
        case ("GET",):
            ordered = sorted(call.portal.pipelines.values(), key=lambda pipeline: pipeline.order)
            return Answer(200, {"results": [pipeline.to_json() for pipeline in ordered]})
        case ("POST",):
            return create(call)
        case _, pipeline_id:
            return _pipeline_call(call, _pipeline(call, pipeline_id))
        case "GET", pipeline_id, "audit":
            return Answer(200, {"results": _pipeline(call, pipeline_id).audit[::-1]})
        case _, pipeline_id, "stages":
            return _stages_call(call, _pipeline(call, pipeline_id))
        case _, pipeline_id, "stages", stage_id:
            return _stage_call(call, _pipeline(call, pipeline_id), stage_id)
        case "GET", pipeline_id, "stages", stage_id, "audit":
            found = _pipeline(call, pipeline_id)
            _stage(found, stage_id)
            return Answer(200, {"results": [e for e in found.audit[::-1] if e["identifier"] == stage_id]})
    raise unknown_path()


def create(call: Call) -> Answer:
    """A pipeline with its stages; ids may be given, otherwise they are numbers."""
    body = call.json()
    _need(body, ("label", "displayOrder", "stages"))
    _free_label(call, str(body["label"]), None)
    pipeline_id = str(body.get("pipelineId") or call.portal.serial())
    if pipeline_id in call.portal.pipelines:
        raise errors.exists(
            f"A pipeline with ID '{pipeline_id}' already exists.", "PipelineError.PIPELINE_ID_EXISTS", pipeline_id
        )
    pipeline = Pipeline(pipeline_id, str(body["label"]), whole(body, "displayOrder"), call.moment, call.moment)
    _set_stages(call, pipeline, objects(body, "stages"))
    call.portal.pipelines[pipeline_id] = pipeline
    return Answer(201, _changed(call, pipeline, "CREATE", pipeline_id).to_json())


def _pipeline_call(call: Call, pipeline: Pipeline) -> Answer:
    if call.method == "DELETE":
        if len(call.portal.pipelines) == 1:
            raise errors.invalid("The last pipeline cannot be deleted", subCategory="PipelineError.LAST_PIPELINE")
        if _validating(call):
            _check_unused(call, pipeline, list(pipeline.stages))
        del call.portal.pipelines[pipeline.id]
        call.portal.refresh_options()
        return Answer(204)
    if call.method == "GET":
        return Answer(200, pipeline.to_json())
    if call.method not in ("PATCH", "PUT"):
        raise wrong_method()
    body = call.json()
    if call.method == "PUT":
        _need(body, ("label", "displayOrder", "stages"))
        keep = {str(entry.get("stageId")) for entry in objects(body, "stages")}
        if _validating(call):
            _check_unused(call, pipeline, [stage_id for stage_id in pipeline.stages if stage_id not in keep])
        _set_stages(call, pipeline, objects(body, "stages"))
    _free_label(call, str(body.get("label", pipeline.label)), pipeline)
    pipeline.label = str(body.get("label", pipeline.label))
    pipeline.order = whole(body, "displayOrder", pipeline.order)
    return Answer(200, _changed(call, pipeline, "UPDATE", pipeline.id).to_json())


def _stages_call(call: Call, pipeline: Pipeline) -> Answer:
    if call.method == "GET":
        return Answer(200, {"results": [stage.to_json() for stage in pipeline.ordered()]})
    if call.method != "POST":
        raise wrong_method()
    if len(pipeline.stages) >= STAGES:
        raise errors.invalid(f"A pipeline has at most {STAGES} stages", subCategory="PipelineError.STAGE_LIMIT")
    stage = _new_stage(call, pipeline, call.json())
    pipeline.stages[stage.id] = stage
    _changed(call, pipeline, "CREATE", stage.id)
    return Answer(201, stage.to_json())


def _stage_call(call: Call, pipeline: Pipeline, stage_id: str) -> Answer:
    stage = _stage(pipeline, stage_id)
    if call.method == "GET":
        return Answer(200, stage.to_json())
    if call.method == "DELETE":
        _check_unused(call, pipeline, [stage_id])
        del pipeline.stages[stage_id]
        _changed(call, pipeline, "DELETE", stage_id)
        return Answer(204)
    if call.method not in ("PATCH", "PUT"):
        raise wrong_method()
    body = call.json()
    _need(body, ("metadata",) if call.method == "PATCH" else ("label", "displayOrder", "metadata"))
    stage.label = str(body.get("label", stage.label))
    stage.order = whole(body, "displayOrder", stage.order)
    stage.probability = _probability(body["metadata"])
    stage.updated = call.moment
    _changed(call, pipeline, "UPDATE", stage_id)
    return Answer(200, stage.to_json())


def _set_stages(call: Call, pipeline: Pipeline, entries: list[dict[str, Any]]) -> None:
    if not entries:
        raise errors.invalid("A pipeline needs at least one stage")
    if len(entries) > STAGES:
        raise errors.invalid(f"A pipeline has at most {STAGES} stages", subCategory="PipelineError.STAGE_LIMIT")
    stages: dict[str, Stage] = {}
    for entry in entries:
        stage = _new_stage(call, pipeline, entry, replacing=True)
        stages[stage.id] = stage
    pipeline.stages = stages


def _new_stage(call: Call, pipeline: Pipeline, body: Mapping[str, Any], replacing: bool = False) -> Stage:
    _need(body, ("label", "displayOrder", "metadata"))
    stage_id = str(body.get("stageId") or call.portal.serial())
    taken = {s for p in call.portal.pipelines.values() if not (replacing and p is pipeline) for s in p.stages}
    if stage_id in taken:
        raise errors.exists(f"A stage with ID '{stage_id}' already exists.", "PipelineError.STAGE_ID_EXISTS", stage_id)
    probability = _probability(body["metadata"])
    return Stage(stage_id, str(body["label"]), whole(body, "displayOrder"), probability, call.moment, call.moment)


def _probability(metadata: Any) -> str:
    """Deals need a probability between 0.0 (lost) and 1.0 (won), as text."""
    text = str(metadata.get("probability", "")) if isinstance(metadata, dict) else ""
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise errors.invalid(
            "Stage metadata must contain a probability between 0.0 and 1.0",
            subCategory="PipelineError.INVALID_PROBABILITY",
        )
    return text if "." in text else f"{number:.1f}"


def _need(body: Mapping[str, Any], names: tuple[str, ...]) -> None:
    missing = [name for name in names if body.get(name) is None]
    if missing:
        raise errors.bad_json(f"some of required attributes are not set [{', '.join(missing)}]")


def _free_label(call: Call, label: str, own: Pipeline | None) -> None:
    if any(p.label == label and p is not own for p in call.portal.pipelines.values()):
        raise errors.exists(
            f"A pipeline with label '{label}' already exists.", "PipelineError.PIPELINE_LABEL_EXISTS", label
        )


def _validating(call: Call) -> bool:
    return call.flag("validateReferencesBeforeDelete") or call.flag("validateDealStageUsagesBeforeDelete")


def _check_unused(call: Call, pipeline: Pipeline, stage_ids: list[str]) -> None:
    """Stages that deals stand in are not deleted from under them."""
    wanted = set(stage_ids)
    used: dict[str, list[int]] = {}
    for deal in call.portal.store(DEALS).all_live():
        stage = deal.values.get("dealstage", "")
        if deal.values.get("pipeline") == pipeline.id and stage in wanted:
            used.setdefault(stage, []).append(deal.id)
    if used:
        stages = f"[{', '.join(used)}]"
        deals = f"[{', '.join(str(deal_id) for ids in used.values() for deal_id in ids)}]"
        raise errors.invalid(
            f"Stage IDs: {stages} are being referenced by object IDs: {deals}",
            context={"stageIds": [stages], "objectIds": [deals]},
            subCategory="PipelineError.STAGE_ID_IN_USE",
        )


def _pipeline(call: Call, pipeline_id: str) -> Pipeline:
    pipeline = call.portal.pipelines.get(pipeline_id)
    if pipeline is None:
        raise _unknown("Pipeline", pipeline_id)
    return pipeline


def _stage(pipeline: Pipeline, stage_id: str) -> Stage:
    stage = pipeline.stages.get(stage_id)
    if stage is None:
        raise _unknown("Stage", stage_id)
    return stage


def _unknown(what: str, identifier: str) -> ApiError:
    return errors.not_found(f"{what} with ID '{identifier}' does not exist.", context={"id": [identifier]})


def _changed(call: Call, pipeline: Pipeline, action: str, identifier: str) -> Pipeline:
    """Note the change, and let the deal properties offer the new stages."""
    pipeline.updated = call.moment
    pipeline.audit.append(
        {
            "portalId": call.portal.id,
            "identifier": identifier,
            "action": action,
            "timestamp": times.iso(call.moment),
            "fromUserId": USER,
        }
    )
    call.portal.refresh_options()
    return pipeline
