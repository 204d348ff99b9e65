"""The tables by which agencies judge a model: ICH M15's assessment, ASME V&V 40's factors.

Rows after the table of ICH M15, General principles for model-informed drug development,
appendix 1 (https://www.ich.org/page/multidisciplinary-guidelines), and after the credibility
factors of ASME V&V 40-2018, which Kuemmel et al. (2020) CPT Pharmacometrics Syst Pharmacol 9:21
(doi 10.1002/psp4.12479) apply to PBPK models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from .._core.errors import InputError, unknown_name
from .blocks import ASKED, Table

RATINGS = ("low", "medium", "high")
_RATED = ("model_influence", "consequence_of_wrong_decision", "model_risk", "model_impact")
_LABELS = {
    "question_of_interest": "Question of interest",
    "context_of_use": "Context of use",
    "model_influence": "Model influence",
    "consequence_of_wrong_decision": "Consequence of wrong decision",
    "model_risk": "Model risk",
    "model_impact": "Model impact",
    "appropriateness": "Appropriateness of the proposed modelling",
    "technical_criteria": "Technical criteria for model evaluation",
}


@dataclass(frozen=True)
class Assessment:
    """What only the author of a dossier can say; None leaves its cell marked as to be stated.

    Parameters
    ----------
    question_of_interest : str, optional
        The question that the model helps to answer.
    context_of_use : str, optional
        The role and scope of the model in answering it.
    model_influence, consequence_of_wrong_decision, model_risk, model_impact : str, optional
        ``low``, ``medium`` or ``high``, and why: "medium: a study in adults is there as well".
    appropriateness : str, optional
        Why a model of this kind is fit for the question.
    technical_criteria : str, optional
        What the model has to fulfil, set before it is evaluated.
    """

    question_of_interest: str | None = None
    context_of_use: str | None = None
    model_influence: str | None = None
    consequence_of_wrong_decision: str | None = None
    model_risk: str | None = None
    model_impact: str | None = None
    appropriateness: str | None = None
    technical_criteria: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and (not isinstance(value, str) or not value.strip()):
                raise InputError(field.name, value, "text, or None where it is not stated yet")
            if value is not None and field.name in _RATED:
                rating = value.split(":")[0].strip().lower()
                if rating not in RATINGS or ":" not in value:
                    raise InputError(
                        field.name, value, "a rating (low, medium, high), a colon and the reason"
                    )

    @classmethod
    def read(cls, values: Assessment | Mapping[str, Any] | None) -> Assessment:
        """An Assessment from itself or from a mapping.

        Raises
        ------
        UnknownNameError
            A row that the table does not have.
        """
        if isinstance(values, cls):
            return values
        given = dict(values or {})
        for name in given:
            if name not in _LABELS:
                raise unknown_name("assessment", name, _LABELS, what="a row of the assessment")
        return cls(**given)

    def table(self, evaluation: str, outcome: str) -> Table:
        """The table of ICH M15.

        Parameters
        ----------
        evaluation, outcome : str
            What this program found: how the model was evaluated, and with what result.
        """
        rows = [(label, getattr(self, name) or ASKED) for name, label in _LABELS.items()]
        rows += [("Model evaluation", evaluation), ("Outcome of the evaluation", outcome)]
        rows.append(("Conclusion on the evidence", ASKED))
        return Table(
            ("element", "statement"),
            tuple(rows),
            "Assessment of the model-informed evidence, after ICH M15, appendix 1",
            "statements of the author; model evaluation and outcome: the sections below",
        )


#: (phase, factor); what is known about each is filled in by the dossier
FACTORS = (
    ("code verification", "software quality assurance"),
    ("code verification", "numerical code verification"),
    ("calculation verification", "discretisation error"),
    ("calculation verification", "numerical solver error"),
    ("calculation verification", "use error"),
    ("validation: computational model", "model form"),
    ("validation: computational model", "model inputs"),
    ("validation: comparator", "test samples"),
    ("validation: comparator", "test conditions"),
    ("validation: assessment", "equivalency of input parameters"),
    ("validation: assessment", "output comparison"),
    ("applicability", "relevance of the quantities of interest"),
    ("applicability", "relevance of the validation activities to the context of use"),
)


def factor_table(evidence: Mapping[str, str]) -> Table:
    """The credibility factors of ASME V&V 40, each with its evidence.

    Parameters
    ----------
    evidence : mapping
        Factor -> what is known; one that is missing stays to be stated.
    """
    for name in evidence:
        if name not in {factor for _, factor in FACTORS}:
            raise unknown_name("evidence", name, [f for _, f in FACTORS], what="a factor")
    return Table(
        ("phase", "credibility factor", "evidence"),
        tuple((phase, factor, evidence.get(factor, ASKED)) for phase, factor in FACTORS),
        "Credibility factors of ASME V&V 40-2018, as applied to PBPK by Kuemmel et al. (2020)",
        "the sections named in each cell; the grade that the model risk asks for is the author's",
    )


__all__ = ["FACTORS", "RATINGS", "Assessment", "factor_table"]
