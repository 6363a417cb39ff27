import numpy as np

from ifrp_tf.data import landmarks, photos
from ifrp_tf.data.mesh import FaceMesh


def test_the_mesh_finds_the_landmarks_that_are_on_file(data_dir):
    known = landmarks.load("test", data_dir / "labels")
    mesh = FaceMesh()
    for name in list(known.points)[:3]:
        points, quality = mesh(photos.read(data_dir / "faces" / "test" / name, 128))
        np.testing.assert_allclose(points[:, :2], known.points[name], atol=2e-3)
        np.testing.assert_allclose(quality, known.quality[name], atol=0.02)
    nose, cheek = points[30, 2], points[0, 2]
    assert nose < cheek  # towards the viewer
    assert mesh(np.full((128, 128, 3), 90, np.uint8))[1][0] < 0.5
