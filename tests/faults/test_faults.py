"""The fault table, row by row: each makes its fault in code and says what must happen."""

import faults_faces
import faults_field
import faults_folders
import faults_inputs
import faults_models
import faults_pictures
import faults_pixels
import faults_program
import faults_runs
import faults_setup
import faults_training
import faults_versions
import pytest

PARTS = [
    faults_pictures, faults_pixels, faults_inputs, faults_folders, faults_runs, faults_training, faults_setup,
    faults_models, faults_versions, faults_program, faults_field, faults_faces,
]  # fmt: skip
ROWS = [row for part in PARTS for row in part.ROWS]
CASES = [pytest.param(row, id=row.label, marks=[pytest.mark.slow] if row.slow else []) for row in ROWS]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, on damaged tags
@pytest.mark.parametrize("fault", CASES)
def test_fault(fault, tmp_path):
    fault.check(fault.make(tmp_path))


def test_the_table_is_complete():
    """Faults 73-88 are of the served model and its client, whose tests hold them."""
    assert [row.id for row in ROWS] == [*range(1, 73), *range(89, 96), *range(101, 120), *range(201, 204)]
    assert len({row.title for row in ROWS}) == len(ROWS)
