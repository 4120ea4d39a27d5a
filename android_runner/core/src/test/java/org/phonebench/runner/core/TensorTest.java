package org.phonebench.runner.core;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

final class TensorTest {
    @Test
    void theGoldenTensorsReadAsTheyAreDescribed() throws Exception {
        ByteBuffer all = ByteBuffer.wrap(Files.readAllBytes(Golden.FOLDER.resolve("tensors-mixed.bin")))
            .order(ByteOrder.LITTLE_ENDIAN);
        assertEquals(2 * (8 + 16 + 3), all.limit());
        ByteBuffer second = ByteBuffer.wrap(Arrays.copyOfRange(all.array(), 27, 54));
        assertEquals(-9007199254740993L, part(all, 8, 24, DType.INT64, 2).integer(1));
        assertEquals(-2.0f, part(all, 0, 8, DType.FLOAT32, 2).real(1));
        assertEquals(3.25f, part(second, 0, 8, DType.FLOAT32, 2).real(1));
        assertEquals(65536, part(second, 8, 24, DType.INT64, 2).integer(1));
        assertEquals(1, part(second, 24, 27, DType.BOOL, 3).integer(2));
    }

    private static Tensor part(ByteBuffer all, int from, int to, DType dtype, int elements) {
        byte[] bytes = Arrays.copyOfRange(all.array(), from, to);
        return new Tensor(dtype, shape(elements), ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN));
    }

    private static List<Integer> shape(int... sizes) {
        return TensorSpec.shapeOf(sizes);
    }

    @Test
    void everyHalfSurvivesTheWayThroughFloat() {
        for (int bits = 0; bits < 1 << 16; bits++) {
            float value = Half.toFloat((short) bits);
            if (!Float.isNaN(value)) {
                assertEquals((short) bits, Half.fromFloat(value), "bits " + bits);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({
        // From the definition of binary16: value, bits.
        "1.0, 3C00", "-2.0, C000", "65504, 7BFF", "65519.99, 7BFF", "65520, 7C00", "1e9, 7C00", "-1e9, FC00",
        "5.9604645e-8, 0001", "2.9802322e-8, 0000", "2.98023259e-8, 0001", "6.1035156e-5, 0400", "6.0975552e-5, 03FF",
        // Halfway between two neighbours rounds to the even one.
        "2049, 6800", "2051, 6802", "0.33325195, 3555", "NaN, 7E00", "-0.0, 8000",
    })
    void aFloatBecomesTheNearestHalf(float value, String bits) {
        assertEquals(Integer.parseInt(bits, 16), Half.fromFloat(value) & 0xFFFF);
    }

    @ParameterizedTest
    @EnumSource(value = DType.class, names = {"INT64", "INT32", "INT16", "INT8"})
    void aNegativeNumberSurvivesEveryWidth(DType dtype) {
        Tensor tensor = Tensor.zeros(dtype, shape(2));
        tensor.setInteger(1, -7);
        assertEquals(-7, Conversions.cast(tensor, DType.INT64).integer(1));
    }

    @Test
    void aCastToTheSameTypeIsTheTensorItselfAndOneToAnotherSortIsRefused() {
        Tensor tensor = Tensor.zeros(DType.INT64, shape(1));
        assertSame(tensor, Conversions.cast(tensor, DType.INT64));
        assertThrows(IllegalArgumentException.class, () -> Conversions.cast(tensor, DType.FLOAT32));
    }

    @ParameterizedTest
    @CsvSource({"0.5, 1", "0.25, 0", "0.75, 2", "100, 127", "-100, -128", "-0.5, -1"})
    void realsAreQuantisedToTheNearestAndClipped(float real, int stored) {
        Tensor tensor = Tensor.zeros(DType.FLOAT32, Collections.emptyList());
        tensor.setReal(0, real);
        assertEquals(stored, Conversions.quantise(tensor, DType.INT8, 0.5f, 0).integer(0));
    }

    @Test
    void quantisingAndBackIsWithinHalfAStep() {
        Tensor real = Tensor.zeros(DType.FLOAT32, shape(3));
        real.setReal(1, 0.3f);
        real.setReal(2, -0.2f);
        Tensor stored = Conversions.quantise(real, DType.UINT8, 0.01f, 128);
        Tensor back = Conversions.dequantise(stored, 0.01f, 128);
        for (int at = 0; at < 3; at++) {
            assertTrue(Math.abs(back.real(at) - real.real(at)) <= 0.005f);
        }
        assertEquals(158, stored.integer(1));
    }

    @Test
    void anOutputOfHalvesGoesOverTheWireAsFloats() {
        Tensor half = Tensor.zeros(DType.FLOAT16, shape(1));
        half.setReal(0, 0.1f);
        Tensor output = Conversions.asOutput(half);
        assertEquals(DType.FLOAT32, output.dtype());
        assertEquals(0.099975586f, output.real(0));
    }

    @Test
    void aBufferOfAnotherLengthIsRefused() {
        ByteBuffer data = ByteBuffer.allocate(7).order(ByteOrder.LITTLE_ENDIAN);
        String said = assertThrows(IllegalArgumentException.class, () -> new Tensor(DType.FLOAT32, shape(2), data))
            .getMessage();
        assertTrue(said.contains("needs 8"), said);
    }
}
